import * as path from "node:path";
import type { BackupMetadata } from "../../domain/backup.ts";
import { isBackupctlError } from "../../errors.ts";
import { removeTree } from "../../platform/tree/removal.ts";
import { openContents } from "../repository/backup-contents.ts";
import { restoreSourceTo } from "../restore/scratch.ts";
import type { Verifying } from "./backup.ts";
import type { Findings } from "./findings.ts";

/**
 * Restores each source to a scratch place and compares it with what the index says. False if one could not be restored for a reason that
 * need not be the backup's (no server, no room, no tool): the verification fails, but says nothing of the backup.
 */
export async function compareRestored(
  { context, storage }: Verifying,
  metadata: BackupMetadata,
  sources: readonly string[],
  findings: Findings,
): Promise<boolean> {
  findings.made("restore_comparison");
  const contents = await openContents(context, [storage.name], metadata);
  let conclusive = true;
  try {
    for (const name of sources) {
      context.session.signal.throwIfAborted();
      const scratch = path.join(contents.temporaryDirectory, `scratch-${name}`);
      try {
        const outcome = await restoreSourceTo(context, contents, await contents.source(name), scratch);
        for (const check of outcome.checks.filter(({ passed }) => !passed)) {
          findings.fail("restore_comparison", `source "${name}", restored: ${check.name}: ${check.detail}`, name);
        }
      } catch (error) {
        if (context.session.signal.aborted || !isBackupctlError(error)) throw error;
        const issue = `source "${name}" could not be restored to a scratch place: ${error.message}`;
        if (error.code === "BACKUP_CORRUPTED") findings.fail("restore_comparison", issue, name);
        else {
          findings.cannotLook("restore_comparison", { message: issue, hint: error.hint }, name);
          conclusive = false;
        }
      } finally {
        // One source at a time: the scratch place needs room for the largest, not for all.
        await removeTree(scratch);
      }
    }
  } finally {
    await contents.close();
  }
  return conclusive;
}
