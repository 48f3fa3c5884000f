import { BackupctlError } from "../../errors.ts";
import type { ScheduleInstallRequest } from "../../operations/operations.ts";
import { defineCommand } from "../command.ts";
import { flag } from "../option.ts";
import { installationJson } from "../render/json-schedule.ts";
import { renderInstallation, renderParts } from "../render/schedule-install.ts";

const WHERE = {
  cron: flag("this user's crontab"),
  systemd: flag("a timer and a service for each schedule"),
  user: flag("with --systemd: this user's own systemd, not the system's"),
} as const;

export const scheduleInstall = defineCommand({
  name: "schedule install",
  group: "Set-up",
  summary: "have cron or systemd run the schedules",
  description: [
    "Each schedule that is enabled becomes lines of the crontab, between two marks, or a systemd timer with a service that may do little beside its work. They call `schedule run NAME --if-due`, so none runs twice, whatever else calls it. Install again after the schedules were changed: what is no longer there goes, and where none is left, all of it does.",
    "cron goes by the host's clock. For a schedule of another time zone, whose distance changes with daylight saving, it wakes up at each hour that may be meant.",
  ],
  options: { ...WHERE, print: flag("print what would be installed, and change nothing") },
  examples: [
    { command: "backupctl schedule install --systemd", text: "As root: the system's timers" },
    {
      command: "backupctl schedule install --systemd --user",
      text: "Without root; `loginctl enable-linger` lets them run without a login",
    },
    { command: "backupctl schedule install --cron --print", text: "Lines for a crontab" },
  ],
  exitCodes: {},
  run: async (context, values) => {
    const { operations, output, look, json } = context;
    const request = { ...whereOf(values, "install"), print: values.print };
    const installation = await (await operations("strict")).installSchedules(request);
    if (json) output.printJson(installationJson(installation));
    else if (values.print) output.print(renderParts(look, installation));
    else output.report(renderInstallation(look, installation));
    return 0;
  },
});

export const scheduleUninstall = defineCommand({
  name: "schedule uninstall",
  group: "Set-up",
  summary: "take back what `schedule install` did",
  description: [
    "Only what belongs to this configuration goes; of systemd's timers also the stamps of when they last elapsed. The schedules and their history stay.",
  ],
  options: WHERE,
  examples: [{ command: "backupctl schedule uninstall --cron", text: "The lines between the marks" }],
  exitCodes: {},
  run: async (context, values) => {
    const { operations, output, look, json } = context;
    const where = whereOf(values, "uninstall");
    const installation = await (await operations("strict")).uninstallSchedules(where);
    if (json) output.printJson(installationJson(installation));
    else output.report(renderInstallation(look, installation));
    return 0;
  },
});

function whereOf(
  values: { readonly cron: boolean; readonly systemd: boolean; readonly user: boolean },
  command: string,
): Omit<ScheduleInstallRequest, "print"> {
  if (values.cron === values.systemd) {
    throw new BackupctlError("USAGE", `${command} needs one of --cron and --systemd`, {
      hint: "Where systemd runs, --systemd makes up for what was missed as soon as the host is up.",
    });
  }
  if (values.cron && values.user) {
    throw new BackupctlError("USAGE", "--user is for --systemd: a crontab always is a user's own", {
      hint: "Leave it out.",
    });
  }
  return { how: values.cron ? "cron" : "systemd", user: values.user };
}
