import { z } from "zod";
import { count } from "../domain/count.ts";
import { exitStatusOfReplicate } from "../operations/exit-status.ts";
import type { ReplicateResult } from "../operations/operations.ts";
import type { Job } from "./job.ts";

const options = z.object({
  to: z
    .array(z.string().min(1))
    .default([])
    .describe("Only to these storages; the only way into an archive.")
    .meta({ example: ["offsite"] }),
  from: z.string().min(1).optional().describe("Read from this storage only.").meta({ example: "main" }),
});

/** `backupctl replicate`. */
export const replicateJob: Job = {
  options,
  async run(operations, { options: given, lockWaitMs, onProgress }) {
    const chosen = options.parse(given);
    const result = await operations.replicate({ ...chosen, dryRun: false, lockWaitMs, onProgress });
    const copies = result.storages.reduce((sum, { copied }) => sum + copied.length, 0);
    return {
      exitCode: exitStatusOfReplicate(result),
      summary: `${count(copies, "copy", "copies")} made`,
      problems: problemsOf(result),
      facts: { copies_made: copies },
    };
  },
};

function problemsOf({ storages }: ReplicateResult): readonly string[] {
  return storages.flatMap(({ name, failure, notCopied }) => [
    ...(failure === undefined ? [] : [`storage "${name}": ${failure.message}`]),
    ...notCopied.map(({ backupId, error }) => `backup ${backupId} could not be copied to "${name}": ${error.message}`),
  ]);
}
