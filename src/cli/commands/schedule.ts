import { count } from "../../domain/count.ts";
import { defineCommand, onlyOperand } from "../command.ts";
import { flag } from "../option.ts";
import { scheduleListJson, scheduleRunJson } from "../render/json-schedule.ts";
import { missedLine, renderScheduleRun, scheduleTable, troubled } from "../render/schedule.ts";

export const scheduleList = defineCommand({
  name: "schedule list",
  group: "Upkeep",
  summary: "the schedules: when they ran, and when they will",
  description: [
    "Schedules are in the configuration under `schedules:`; docs/schedules.md says how. What ran is what this host's catalog knows. Missed is what should have run, more than 15 minutes ago, and nothing has made up for it since.",
  ],
  options: {},
  examples: [
    { command: "backupctl schedule list", text: "What runs when, and how it went" },
    { command: "backupctl schedule list --json", text: "The same, for a script" },
  ],
  exitCodes: {},
  run: async ({ operations, output, look, noteLook, json }) => {
    const schedules = await (await operations("rescue")).listSchedules();
    if (json) output.printJson(scheduleListJson(schedules));
    else if (schedules.length === 0) output.print("The configuration has no schedule that can be used.");
    else {
      output.print(await scheduleTable(look, schedules));
      for (const schedule of troubled(schedules)) output.warn(missedLine(noteLook, schedule));
    }
    return 0;
  },
});

export const scheduleCheck = defineCommand({
  name: "schedule check",
  group: "Upkeep",
  summary: "fail if a schedule was missed or failed",
  description: [
    "For a monitor to call. A schedule counts from when this host first sees it: by this command, by `schedule list`, or when it is run or installed.",
  ],
  options: {},
  examples: [{ command: "backupctl schedule check --quiet", text: "Says something only if something is wrong" }],
  exitCodes: {
    0: "all that should have run has run",
    4: "a schedule was missed, or its last run failed, or was done in part only",
  },
  run: async ({ operations, output, look, json }) => {
    const schedules = await (await operations("strict")).listSchedules();
    const wrong = troubled(schedules);
    if (json) output.printJson(scheduleListJson(wrong));
    else if (wrong.length > 0) for (const schedule of wrong) output.print(missedLine(look, schedule));
    else output.report(look.line`all that should have run has run (${count(schedules.length, "schedule")})`);
    return wrong.length === 0 ? 0 : 4;
  },
});

export const scheduleRun = defineCommand({
  name: "schedule run",
  group: "Upkeep",
  summary: "run what a schedule says, now",
  description: [
    "What cron, a systemd timer or `schedule daemon` calls. It waits for another run in the repository until the schedule is due again. The exit status is that of the command that does the same by hand: `create` unless the schedule names another operation.",
    "With --if-due it does nothing unless a time of the schedule came since its last run. So it may be called too often, at once from several places, or late: however many times were missed, it runs once. A run that was cut off is due again, once.",
    "Then the notifiers that the schedule names are told how it ended. One that can't be told is a warning, also with --quiet, and leaves the exit status as it is.",
  ],
  argument: { placeholder: "NAME", description: "a schedule of the configuration", required: true },
  options: { ifDue: flag("do nothing unless it is due") },
  examples: [
    { command: "backupctl schedule run nightly", text: "Now, whenever it is due" },
    { command: "backupctl schedule run nightly --if-due", text: "Every hour, from anywhere" },
  ],
  exitCodes: {
    0: "it is done, or with --if-due there was nothing to do",
    3: "partly done",
    4: "damage was found",
    11: "it is running already, or another run held the lock for too long",
    12: "the encryption key is missing or wrong",
  },
  run: async (context, { ifDue }, operands) => {
    const { output, look, noteLook, json } = context;
    const operations = await context.operations("strict");
    const name = onlyOperand(operands);
    const result = await context.withProgress((onProgress) => operations.runSchedule({ name, ifDue, onProgress }));
    if (json) output.printJson(scheduleRunJson(result));
    else {
      output.report(renderScheduleRun(look, result));
      for (const problem of result.problems) output.warn(noteLook.show(problem));
    }
    return result.exitCode;
  },
});
