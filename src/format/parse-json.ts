import { z } from "zod";
import { BackupctlError } from "../errors.ts";

/** Of a keys object, notes and the marker. Who reads one fetches a byte more: that is enough to know. */
export const MAX_JSON_BYTES = 2 ** 20;
/** Of metadata.json: with it a backup may have millions of packs. */
export const MAX_METADATA_BYTES = 64 * 2 ** 20;

/** More levels than any object has. A schema's checks may call themselves for each, until the stack is full. */
const MOST_LEVELS = 64;

const objectSchema = z.record(z.string(), z.unknown());

/** The members of a JSON object in UTF-8, of `most` bytes. @throws `BACKUP_CORRUPTED`, naming the object as `what`. */
export function parseJsonObject(
  bytes: Uint8Array,
  what: string,
  most: number = MAX_JSON_BYTES,
): Readonly<Record<string, unknown>> {
  if (bytes.length > most) {
    throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: it is larger than ${most / 2 ** 20} MiB`);
  }
  const parsed = objectSchema.safeParse(parseText(bytes, what));
  if (!parsed.success) throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: it is not a JSON object`);
  if (hasMoreLevels(parsed.data, MOST_LEVELS)) {
    throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: it has more than ${MOST_LEVELS} levels`);
  }
  return parsed.data;
}

function hasMoreLevels(value: unknown, most: number): boolean {
  if (typeof value !== "object" || value === null) return false;
  if (most === 0) return true;
  const members: readonly unknown[] = Array.isArray(value) ? value : Object.values(value);
  return members.some((member) => hasMoreLevels(member, most - 1));
}

/** What is about to be stored, where it can be read again. @throws `BACKUP_FAILED` for what readers refuse for its size */
export function requireReadableSize(
  bytes: Buffer,
  what: string,
  { most = MAX_JSON_BYTES, hint }: { readonly most?: number; readonly hint: string },
): Buffer {
  if (bytes.length <= most) return bytes;
  throw new BackupctlError(
    "BACKUP_FAILED",
    `${what} would have ${bytes.length} bytes, more than the ${most / 2 ** 20} MiB that can be read again`,
    { hint },
  );
}

function parseText(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch (error) {
    throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: it is not JSON`, { cause: error });
  }
}

/** Something that has no version is not of another one: that is for the schema to refuse. */
export function isOtherVersion({ version }: Readonly<Record<string, unknown>>): boolean {
  return typeof version === "number" && version !== 1;
}

/** @throws `UNSUPPORTED_FORMAT` for a version other than 1. */
export function refuseOtherVersions(content: Readonly<Record<string, unknown>>, what: string): void {
  if (!isOtherVersion(content)) return;
  throw new BackupctlError(
    "UNSUPPORTED_FORMAT",
    `${what} has format version ${content.version}, this program reads version 1`,
    {
      hint: "Use the release of backupctl that wrote it, or a newer one.",
    },
  );
}
