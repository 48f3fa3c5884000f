import { createCipheriv } from "node:crypto";

/** Bytes that do not compress; the same for the same seed. */
export function randomNumbers(seed: number, bytes: number): Buffer {
  const key = Buffer.alloc(16);
  key.writeUInt32BE(seed);
  return createCipheriv("aes-128-ctr", key, Buffer.alloc(16)).update(Buffer.alloc(bytes));
}

const WORDS =
  "GET POST order item price customer street invoice paid shipped image/png 200 404 index.html total note info warn".split(
    " ",
  );
const BYTES_PER_LINE_SEED = 16;

/** Lines such as a log or an export has, which compress to about a third; the same for the same seed. */
export function randomText(seed: number, bytes: number): Buffer {
  const numbers = randomNumbers(seed, Math.ceil(bytes / 4));
  const lines: string[] = [];
  let length = 0;
  for (let at = 0; length < bytes; at = (at + BYTES_PER_LINE_SEED) % (numbers.length - BYTES_PER_LINE_SEED)) {
    const words = Array.from({ length: 8 }, (_, i) => WORDS[(numbers[at + i] as number) % WORDS.length]);
    const line = `2026-01-${10 + (at % 20)} ${numbers.toString("hex", at + 8, at + 16)} ${words.join(" ")}\n`;
    lines.push(line);
    length += line.length;
  }
  return Buffer.from(lines.join(""), "latin1").subarray(0, bytes);
}
