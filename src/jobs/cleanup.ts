import { z } from "zod";
import { count } from "../domain/count.ts";
import { formatBytes } from "../domain/size.ts";
import { withName } from "../domain/storage-messages.ts";
import { exitStatusOfCleanup } from "../operations/exit-status.ts";
import type { CleanupResult } from "../operations/operations.ts";
import type { Job } from "./job.ts";

/** What only force lifts is for a person to lift. */
const options = z.object({});

/** `backupctl cleanup`. */
export const cleanupJob: Job = {
  options,
  async run(operations, { lockWaitMs }) {
    const result = await operations.cleanup({ force: false, lockWaitMs });
    const copies = result.storages.reduce((sum, { removed }) => sum + removed.length, 0);
    const locked = result.storages.reduce((sum, { locked: locks }) => sum + locks.length, 0);
    const bytes = result.storages.reduce((sum, { bytes: freed }) => sum + freed, 0);
    return {
      exitCode: exitStatusOfCleanup(result),
      summary: `${count(copies, "copy", "copies")} removed, ${formatBytes(bytes)} freed${locked === 0 ? "" : `, ${locked} still locked`}`,
      problems: problemsOf(result),
      facts: { copies_removed: copies, copies_locked: locked, bytes_freed: bytes },
    };
  },
};

function problemsOf({ storages }: CleanupResult): readonly string[] {
  return storages.flatMap(({ name, notRemoved, failure }) => [
    ...notRemoved.map(({ error }) => withName(name, error.message)),
    ...(failure === undefined ? [] : [withName(name, failure.message)]),
  ]);
}
