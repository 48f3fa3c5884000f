import { exitStatusOfReplicate } from "../../operations/exit-status.ts";
import type { ReplicateResult } from "../../operations/operations.ts";
import { BACKUP_ARGUMENT, defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { DRY_RUN, LOCK_WAIT } from "../global-options.ts";
import { duration, names, text } from "../option.ts";
import { replicateJson } from "../render/json-runs.ts";
import { renderReplication, replicationProblems } from "../render/replication.ts";

export const replicate = defineCommand({
  name: "replicate",
  group: "Upkeep",
  summary: "copy to each storage the backups that it lacks",
  description: [
    "create writes to all storages at once. What one of them missed, because it was away or too slow or is new in the configuration, comes to it by this: backups with all that they build on, byte for byte, each object checked, from any good copy. It needs no key. A run that was interrupted goes on where it ended.",
    "Without BACKUP that is every backup, without --to every storage but archives, which get only what is copied to them by name.",
  ],
  argument: { ...BACKUP_ARGUMENT, required: false },
  options: {
    to: names("A,B", "only to these storages; the only way into an archive"),
    from: text("NAME", "read from this storage only"),
    lockWait: duration(LOCK_WAIT.placeholder, LOCK_WAIT.description),
    dryRun: DRY_RUN,
  },
  examples: [
    { command: "backupctl replicate", text: "Everything to everywhere, e.g. every night from cron" },
    { command: "backupctl replicate --dry-run", text: "How far behind each storage is" },
    { command: "backupctl replicate latest --to vault", text: "The newest backup to an archive" },
  ],
  exitCodes: {
    0: "every storage has every backup; with --dry-run: each could be looked at",
    3: "a storage still lacks some, or is away",
    4: "some backup is damaged in every copy; the others were copied",
    10: "there is no such backup",
    11: "another run holds the lock",
  },
  run: async (context, values, [reference]) => {
    const operations = await context.operations("strict");
    const result = await context.withProgress((onProgress) =>
      operations.replicate({
        reference,
        to: values.to,
        from: values.from,
        dryRun: values.dryRun,
        lockWaitMs: values.lockWait ?? 0,
        onProgress,
      }),
    );
    await print(context, result);
    return exitStatusOfReplicate(result);
  },
});

async function print({ output, look, noteLook, json }: Context, result: ReplicateResult): Promise<void> {
  if (json) output.printJson(replicateJson(result));
  else {
    output.report(await renderReplication(look, result));
    for (const problem of replicationProblems(noteLook, result)) output.warn(problem);
  }
}
