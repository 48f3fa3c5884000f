import { randomBytes, randomInt, randomUUID } from "node:crypto";

/** A UUID v4. */
export function newUuid(): string {
  return randomUUID();
}

/** So many random bytes in hex. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}

const FRACTIONS = 2 ** 32;

/** At least 0, less than 1. */
export function randomFraction(): number {
  return randomInt(FRACTIONS) / FRACTIONS;
}
