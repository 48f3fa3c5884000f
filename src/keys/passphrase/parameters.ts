import { BackupctlError } from "../../errors.ts";
import type { KeyParameters } from "../key-provider.ts";

/** The cost of scrypt as written in keys objects (FORMAT, "Keys"). */
export interface ScryptParameters {
  readonly salt: Buffer;
  readonly n: number;
  readonly r: number;
  readonly p: number;
}

export const SALT_BYTES = 16;
export const NEW_COST = { n: 2 ** 17, r: 8, p: 1 } as const;

const SALT_LIMITS = { least: 16, most: 64 } as const;

export function encodeParameters(parameters: ScryptParameters): KeyParameters {
  const { salt, n, r, p } = parameters;
  return { salt: salt.toString("base64"), n, r, p };
}

/**
 * Parameters lie unauthenticated in the storage: without limits whoever can write there could make a restore use all memory,
 * or derive under a cost so low that the passphrase can be guessed. What is written takes 128 MiB, and nothing may take more.
 * @throws `BACKUP_CORRUPTED` outside the limits.
 */
export function decodeParameters(parameters: KeyParameters): ScryptParameters {
  const { salt, n, r, p } = parameters;
  if (typeof n !== "number" || !isPowerOfTwo(n) || n < 2 ** 15 || n > NEW_COST.n) throw refused("n", n);
  if (r !== 8) throw refused("r", r);
  if (typeof p !== "number" || !Number.isInteger(p) || p < 1 || p > 4) throw refused("p", p);
  const bytes = typeof salt === "string" ? Buffer.from(salt, "base64") : Buffer.alloc(0);
  const canonical = bytes.toString("base64") === salt;
  if (!canonical || bytes.length < SALT_LIMITS.least || bytes.length > SALT_LIMITS.most) throw refused("salt", salt);
  return { salt: bytes, n, r, p };
}

function isPowerOfTwo(n: number): boolean {
  return Number.isInteger(Math.log2(n));
}

function refused(parameter: string, value: string | number | undefined): BackupctlError {
  const text = JSON.stringify(value) ?? "missing";
  return new BackupctlError(
    "BACKUP_CORRUPTED",
    `keys object: scrypt parameter ${parameter} is ${text}, which no backup has`,
    {
      hint: "The keys object is damaged or was tampered with. Use another copy: `backupctl verify` shows which are sound.",
    },
  );
}
