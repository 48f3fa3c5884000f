import { isBackupctlError } from "../../errors.ts";
import { defineCommand } from "../command.ts";

export const scheduleDaemon = defineCommand({
  name: "schedule daemon",
  group: "Upkeep",
  summary: "run the schedules as they are due, for containers",
  description: [
    "Runs each schedule when it is due, one after the other, as `schedule run NAME --if-due` in a process of its own. What was missed while it was not there is made up for at the start, once. It ends by SIGTERM, SIGHUP or Ctrl-C; a run that this cuts off cleans up, and is begun again at the next start.",
    "Where the configuration's file is changed, it goes by the new schedules within a minute, without a new start or a signal; one that can't be used is an error that it logs, and the times stay as they were. Its runs tell the notifiers that the schedules name; `schedule check` says from elsewhere what was missed or has failed.",
  ],
  options: {},
  examples: [{ command: "backupctl schedule daemon", text: "The command of a container" }],
  exitCodes: {
    0: "it was ended between two runs",
    129: "SIGHUP cut off a run, which has cleaned up",
    130: "Ctrl-C cut off a run, which has cleaned up",
    143: "SIGTERM cut off a run, which has cleaned up",
  },
  json: false,
  run: async ({ operations, reloadConfig, output, noteLook, quiet }) => {
    const { serveSchedules } = await operations("strict");
    const serving = serveSchedules({
      quiet,
      reload: reloadConfig,
      onRun: ({ name, exitCode }) => {
        if (exitCode !== 0) output.warn(noteLook.line`schedule "${name}" ended with exit status ${exitCode}`);
      },
    });
    try {
      await serving;
      return 0;
    } catch (error) {
      // The run that was cut off has said so.
      if (isBackupctlError(error, "INTERRUPTED")) return error.exitCode;
      throw error;
    }
  },
});
