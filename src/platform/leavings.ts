import { createHash, randomUUID } from "node:crypto";

/** What a name has at most on most file systems; what is put around one takes up to 40 of them. */
const MAX_NAME_BYTES = 255;
const ROOMY_NAME_BYTES = 200;

/**
 * The names under which restores and downloads make what gets its own name in the end: a file in place (`temporaryName`), a tree
 * (tree/staged-tree.ts), a single file (beside-file.ts).
 */
const TEMPORARY = /^\.backupctl-[0-9a-f]{16}$/;
const BESIDE = /^\..+\.backupctl-(?:[0-9]+-)?[0-9a-f]{8}$/s;

/** For a file beside its place. A UUID has more than enough that is random, and Node keeps them in stock. */
export function temporaryName(): string {
  return `.backupctl-${randomUUID().replaceAll("-", "").slice(16)}`;
}

export function isTemporaryName(name: string): boolean {
  return TEMPORARY.test(name);
}

/**
 * A file's name to make others of: where there is no room for what they have more its beginning and a digest of all of it, always the same.
 * One that can't be a name itself stays as it is, so that it is refused before anything is written.
 */
export function withRoom(name: string): string {
  const bytes = Buffer.from(name);
  if (bytes.length <= ROOMY_NAME_BYTES || bytes.length > MAX_NAME_BYTES) return name;
  const digest = createHash("sha256").update(bytes).digest("hex").slice(0, 12);
  // What is left of a character that was cut.
  const start = bytes.toString("utf8", 0, ROOMY_NAME_BYTES - 13).replace(/\ufffd+$/, "");
  return `${start}-${digest}`;
}

/** True for what a restore or download that was killed left behind, or that is under way. */
export function isLeaving(name: string): boolean {
  return name.includes("backupctl-") && (TEMPORARY.test(name) || BESIDE.test(name));
}
