import { noise } from "./bytes.ts";

/** Numbers from 0 to below a limit, the same for the same seed. */
export function randomNumbers(seed: number): (limit: number) => number {
  const bytes = noise(4 * 65_536, seed);
  let at = 0;
  return (limit) => {
    at = (at + 4) % bytes.length;
    return bytes.readUInt32LE(at) % limit;
  };
}
