import { randomBytes, randomUUID } from "node:crypto";

/** A UUID v4. */
export function newUuid(): string {
  return randomUUID();
}

/** So many random bytes in hex. */
export function randomHex(bytes: number): string {
  return randomBytes(bytes).toString("hex");
}
