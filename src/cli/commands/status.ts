import { BACKUP_ARGUMENT, defineCommand } from "../command.ts";
import { statusJson } from "../render/json-runs.ts";
import { renderStatus } from "../render/status.ts";

export const status = defineCommand({
  name: "status",
  group: "Daily",
  summary: "how far a running backup is, or how the last one ended",
  description: [
    "Works from any terminal while a run goes on, and never waits for it. Without BACKUP: the run in progress, else the last one. A run whose process died is said to be interrupted.",
  ],
  argument: { ...BACKUP_ARGUMENT, required: false },
  options: {},
  examples: [
    { command: "backupctl status", text: "What is going on" },
    { command: "backupctl status --json", text: "The same, for a script" },
  ],
  exitCodes: { 10: "there is no such backup, or nothing was run yet" },
  run: async ({ operations, output, look, json }, _values, [reference]) => {
    const run = await (await operations("rescue")).status(reference);
    if (json) output.printJson(statusJson(run, look.now));
    else output.print(renderStatus(look, run));
    return 0;
  },
});
