import { BackupctlError } from "../../errors.ts";
import { exitStatusOfCleanup } from "../../operations/exit-status.ts";
import { defineCommand } from "../command.ts";
import { DRY_RUN, LOCK_WAIT } from "../global-options.ts";
import { duration, flag, text } from "../option.ts";
import { cleanupProblems, renderCleanup, renderCleanupPlan } from "../render/cleanup.ts";
import { cleanupJson, cleanupPlanJson, simulationJson } from "../render/json-cleanup.ts";
import { renderSimulation } from "../render/simulation.ts";

const DAY_MS = 86_400_000;
const MOST_SIMULATED_MS = 3650 * DAY_MS;

export const cleanup = defineCommand({
  name: "cleanup",
  group: "Upkeep",
  summary: "remove the backups that retention lets go",
  description: [
    "Time alone removes nothing: a backup has expired when its date is over and something newer of each of its sources was made since. The last good and the last verified backup of each source always stay, and so does all that a kept one builds on. Each storage is judged by what lies in it.",
    "It asks nothing, so that cron can run it: --dry-run shows for every backup whether it stays, and why. A cleanup that would remove more than `retention.max_delete`, or that meets a clock that jumped, is refused without --force and --reason.",
  ],
  options: {
    force: flag("though so much would go, or a clock is wrong"),
    reason: text("TEXT", "why, for the log; --force demands it"),
    lockWait: duration(LOCK_WAIT.placeholder, LOCK_WAIT.description),
    dryRun: DRY_RUN,
    simulate: duration("DURATION", "show how the storages would fill in that time, e.g. 180d; change nothing"),
  },
  examples: [
    { command: "backupctl cleanup --dry-run", text: "What stays and what would go, with the reasons" },
    { command: "backupctl cleanup --simulate 180d", text: "How the storages fill with the present schedules" },
    { command: "backupctl cleanup", text: "After each night's backup, e.g. from cron" },
    { command: 'backupctl cleanup --force --reason "retention was shortened"', text: "Though much would go at once" },
  ],
  exitCodes: {
    3: "something stayed that should have gone: a storage was away, or does not let it go",
    11: "another run holds the lock",
    14: "more would go than max_delete lets",
  },
  run: async (context, { force, reason, lockWait, dryRun, simulate }) => {
    const { output, look, noteLook, json } = context;
    if (simulate !== undefined && (simulate < DAY_MS || simulate > MOST_SIMULATED_MS)) {
      throw new BackupctlError("USAGE", "--simulate looks a day ahead at least, and ten years at most", {
        hint: "Give e.g. 180d.",
      });
    }
    const operations = await context.operations("strict");
    if (simulate !== undefined) {
      const course = await operations.simulateCleanup(simulate);
      if (json) output.printJson(simulationJson(course));
      else output.print(await renderSimulation(look, course));
      return 0;
    }
    if (dryRun) {
      const plan = await operations.planCleanup();
      if (json) output.printJson(cleanupPlanJson(plan));
      else output.print(`${await renderCleanupPlan(look, plan)}\n\nNothing was removed (--dry-run).`);
      return 0;
    }
    const result = await operations.cleanup({ force, reason, lockWaitMs: lockWait ?? 0 });
    if (json) output.printJson(cleanupJson(result));
    else {
      output.report(await renderCleanup(look, result));
      for (const problem of cleanupProblems(noteLook, result)) output.warn(problem);
    }
    return exitStatusOfCleanup(result);
  },
});
