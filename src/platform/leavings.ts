import { randomUUID } from "node:crypto";

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

/** True for what a restore or download that was killed left behind, or that is under way. */
export function isLeaving(name: string): boolean {
  return name.includes("backupctl-") && (TEMPORARY.test(name) || BESIDE.test(name));
}
