import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { BackupId, BackupMetadata, BackupNotes } from "../domain/backup.ts";
import { backupIdSchema, describeIssues, notesSchema } from "../domain/metadata-schema.ts";
import { numberedName, parseNumberedName } from "../domain/object-names.ts";
import { BackupctlError } from "../errors.ts";
import { isMacOfKind, isMacValid, MAC_PATTERN, macOf } from "./mac.ts";
import { isOtherVersion, parseJsonObject, requireReadableSize } from "./parse-json.ts";

const envelopeSchema = z.object({
  backup_id: backupIdSchema,
  n: z.int().min(0).max(999_999_999),
  mac: z.string().regex(MAC_PATTERN, "not a mac"),
});

export interface DecodedNotes {
  readonly n: number;
  readonly notes: BackupNotes;
  /** Whether the mac proves them. */
  readonly verified: boolean;
  /** The mac is of the right kind and does not fit: these were not written by somebody without the key, but changed. */
  readonly changed: boolean;
  /** Why it is not known what it says: it holds the backup then. In words. */
  readonly unknown?: string;
}

/** A notes object under a name of its own. It replaces all notes with a lower n: give all facts, not only the changed ones. */
export function encodeNotes(request: {
  readonly backupId: BackupId;
  readonly n: number;
  readonly notes: BackupNotes;
  readonly macKey: Buffer | undefined;
}): { readonly name: string; readonly bytes: Buffer } {
  const notes = notesSchema.parse(request.notes);
  const content = { version: 1, backup_id: request.backupId, n: request.n, ...notes };
  const name = numberedName({ family: "notes", n: request.n, writer: randomBytes(4).toString("hex") });
  const bytes = Buffer.from(`${JSON.stringify({ ...content, mac: macOf(content, request.macKey) }, null, 2)}\n`);
  const what = `${name} of backup ${request.backupId}`;
  return { name, bytes: requireReadableSize(bytes, what, { hint: "Give a shorter reason." }) };
}

/**
 * Reads a notes object. One whose mac does not fit is returned as not verified, not refused: it may still keep a backup.
 * So may one of another version of the format, which counts as a hold.
 * @throws `BACKUP_CORRUPTED` if it can't be read at all or belongs to another backup or number.
 */
export function decodeNotes(
  object: { readonly name: string; readonly bytes: Uint8Array },
  backup: Pick<BackupMetadata, "id" | "timestamp">,
  macKey: Buffer | undefined,
): DecodedNotes {
  const what = `${object.name} of backup ${backup.id}`;
  const raw = parseJsonObject(object.bytes, what);
  const named = parseNumberedName(object.name)?.n;
  const { version, backup_id, n, mac, ...rest } = raw;
  const envelope = envelopeSchema.safeParse({ backup_id, n, mac });
  const notes = notesSchema.safeParse(rest);
  const isProven = envelope.success && notes.success && isMacValid({ ...raw, version: 1 }, envelope.data.mac, macKey);
  if (isProven && version !== 1)
    throw damaged(what, `it was written with version 1 and says ${JSON.stringify(version)}`);
  if (isOtherVersion(raw) && named !== undefined)
    return notRead(named, `${what} has format version ${raw.version}, this program reads version 1`, backup);
  if (version !== 1) throw damaged(what, "its version is not a number");
  if (!envelope.success) throw damaged(what, describeIssues(envelope.error));
  if (!notes.success) throw damaged(what, describeIssues(notes.error));
  if (envelope.data.backup_id !== backup.id || envelope.data.n !== named) {
    throw damaged(what, "it belongs to another place");
  }
  const changed = !isProven && isMacOfKind(envelope.data.mac, macKey);
  return { n: envelope.data.n, notes: notes.data, verified: isProven, changed };
}

/** Notes that are there and say what nobody here knows: they hold the backup. */
export function notRead(n: number, why: string, { timestamp }: Pick<BackupMetadata, "timestamp">): DecodedNotes {
  const unknown = `unknown: ${why}`;
  return {
    n,
    notes: { hold: { reason: unknown, at: timestamp, by: "unknown" } },
    verified: false,
    changed: false,
    unknown,
  };
}

function damaged(what: string, why: string): BackupctlError {
  return new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: ${why}`);
}

/**
 * The notes in force. Of verified ones the highest n; of several with that n everything that any of them says, with the longer
 * retention and the newer verification. Ones that can't be verified only keep: their hold and their longer retention
 * count, unless a verified one with a higher n replaced them. `retentionUntil` is what metadata says (`null`: for ever).
 */
export function mergeNotes(all: readonly DecodedNotes[], retentionUntil: string | null): BackupNotes {
  const highest = highestProven(all);
  const inForce = all
    .filter((candidate) => candidate.verified && candidate.n === highest)
    .map((candidate) => candidate.notes)
    .reduce<BackupNotes>(unionOf, {});
  return unprovenInForce(all).reduce((notes, candidate) => keptBy(notes, candidate.notes, retentionUntil), inForce);
}

/** Those that no key proves, and that no proven one with a higher n has replaced. */
export function unprovenInForce(all: readonly DecodedNotes[]): readonly DecodedNotes[] {
  const highest = highestProven(all);
  return all.filter((candidate) => !candidate.verified && candidate.n >= highest);
}

function highestProven(all: readonly DecodedNotes[]): number {
  return Math.max(-1, ...all.filter((candidate) => candidate.verified).map((candidate) => candidate.n));
}

/** The order of the two must not matter: every host has to come to the same notes. */
function unionOf(left: BackupNotes, right: BackupNotes): BackupNotes {
  const tags =
    left.tags === undefined && right.tags === undefined ? undefined : [...(left.tags ?? []), ...(right.tags ?? [])];
  return {
    ...member("hold", earlier(left.hold, right.hold)),
    ...member("tags", tags === undefined ? undefined : [...new Set(tags)].sort()),
    ...member("description", larger(left.description, right.description)),
    ...member("retention_until", later(left.retention_until, right.retention_until)),
    ...member("quarantine", earlier(left.quarantine, right.quarantine)),
    ...member("verified", newer(left.verified, right.verified)),
  };
}

function keptBy(notes: BackupNotes, unproven: BackupNotes, retentionUntil: string | null): BackupNotes {
  const current = notes.retention_until ?? retentionUntil;
  // Without an end there is nothing to prolong.
  const retention = current === null ? undefined : later(current, unproven.retention_until);
  return {
    ...notes,
    ...member("hold", notes.hold ?? unproven.hold),
    ...(retention === undefined || retention === current ? {} : { retention_until: retention }),
  };
}

function member<K extends keyof BackupNotes>(
  name: K,
  value: BackupNotes[K] | undefined,
): Pick<BackupNotes, K> | object {
  return value === undefined ? {} : { [name]: value };
}

interface Dated {
  readonly at: string;
}

function earlier<T extends Dated>(left: T | undefined, right: T | undefined): T | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return orderOf(left) <= orderOf(right) ? left : right;
}

function newer<T extends Dated>(left: T | undefined, right: T | undefined): T | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return orderOf(left) >= orderOf(right) ? left : right;
}

function orderOf(value: Dated): string {
  return `${new Date(value.at).toISOString()} ${JSON.stringify(value)}`;
}

function later(left: string | undefined, right: string | undefined): string | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return new Date(left).getTime() >= new Date(right).getTime() ? left : right;
}

function larger(left: string | undefined, right: string | undefined): string | undefined {
  if (left === undefined || right === undefined) return left ?? right;
  return left >= right ? left : right;
}
