import type { BackupMetadata } from "../domain/backup.ts";
import type { Verifying } from "./verify-backup.ts";
import type { Problem } from "./verify-objects.ts";

export async function compareRestored(
  _verifying: Verifying,
  _metadata: BackupMetadata,
  _looked: readonly string[],
  _report: (problem: Problem) => void,
): Promise<void> {
  throw new Error("not yet");
}
