import type { ScheduleConfig } from "../../config/config.ts";
import { crontabCommand, crontabTimes, strayLines, withBlock } from "../../domain/schedule/crontab.ts";
import { ownerLine, unitFiles } from "../../domain/schedule/systemd-units.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { readCrontab, writeCrontab } from "../../platform/timers/crontab.ts";
import { systemTimezone } from "../../platform/timers/system-timezone.ts";
import {
  listUnits,
  removeUnit,
  requireManager,
  systemctl,
  unitDirectory,
  writeUnit,
} from "../../platform/timers/systemd.ts";
import type { OperationContext } from "../context.ts";
import type { ScheduleInstallation, ScheduleInstallRequest } from "../operations.ts";
import type { Session } from "../session.ts";
import { historyOf, rememberSchedule } from "./history.ts";

/**
 * Has cron or systemd run the schedules that are enabled, and no others of this configuration. What was installed before is replaced; a kill
 * in between leaves some of both, and the next call finishes. Nothing of anybody else's is touched. Where none is enabled any longer, all that
 * was installed goes.
 * @throws `USAGE` where there is nothing to install, and nothing was, or this user may not; `TOOL_FAILED` where cron or systemd refuses
 */
export async function installSchedules(
  context: OperationContext,
  request: ScheduleInstallRequest,
): Promise<ScheduleInstallation> {
  const { session } = context;
  const enabled = session.loaded.config.schedules.filter((schedule) => schedule.enabled);
  if (enabled.length === 0) {
    if (!request.print) {
      const gone = await uninstallSchedules(context, request);
      if (gone.removed.length > 0) {
        session.logger.warn("the configuration has no schedule that is enabled: nothing runs by itself any longer");
        return gone;
      }
    }
    throw new BackupctlError("USAGE", "the configuration has no schedule that is enabled", {
      hint: "Add one under `schedules:`; docs/schedules.md says how.",
    });
  }
  const owner = requireFile(session);
  if (!request.print) {
    if (request.how === "systemd") {
      await requireManager(
        { user: request.user, signal: session.signal },
        "Where there is no systemd, use --cron, or `backupctl schedule daemon`.",
      );
    }
    await remember(context, enabled);
  }
  return request.how === "cron"
    ? installCrontab(session, owner, enabled, request)
    : installUnits(session, owner, enabled, request);
}

/** Takes back what `installSchedules` did for this configuration; what is not there is no error. */
export async function uninstallSchedules(
  { session }: OperationContext,
  { how, user }: Omit<ScheduleInstallRequest, "print">,
): Promise<ScheduleInstallation> {
  const owner = requireFile(session);
  if (how === "cron") return { parts: [], removed: await replaceBlock(session, owner, []) };
  const directory = unitDirectory({ user });
  const names = ownUnits(await listUnits(directory), owner);
  if (names.length > 0) {
    await requireManager(
      { user, signal: session.signal },
      `Where there is no systemd any longer, remove ${names.join(", ")} from ${directory} by hand.`,
    );
  }
  return { parts: [], removed: await removeUnits(session, names, user) };
}

/** cron and systemd have an environment of their own. */
function requireFile({ loaded, program }: Session): string {
  const broken = [loaded.origin, loaded.config.stateDir, program.path].find((place) => /[\r\n]/.test(place));
  if (broken !== undefined) {
    throw new BackupctlError(
      "USAGE",
      `${JSON.stringify(broken)} has a line break, which no crontab and no unit can say`,
      {
        hint: "Give the folder another name.",
      },
    );
  }
  if (loaded.origin !== "environment") return loaded.origin;
  throw new BackupctlError("USAGE", "the configuration is in the environment, which cron and systemd do not have", {
    hint: "Write a file with `backupctl init`, or use `backupctl schedule daemon`.",
  });
}

/** From now on what nobody runs is missed. */
async function remember(context: OperationContext, schedules: readonly ScheduleConfig[]): Promise<void> {
  const log = (await context.catalog("write")).schedules;
  const now = context.session.clock.now();
  for (const schedule of schedules) rememberSchedule(log, schedule, historyOf(log, schedule, now));
}

async function installCrontab(
  session: Session,
  owner: string,
  schedules: readonly ScheduleConfig[],
  { print }: ScheduleInstallRequest,
): Promise<ScheduleInstallation> {
  const zone = await systemTimezone();
  const now = session.clock.now();
  const environment = Object.entries(environmentOf(session)).map(([name, value]) => `${name}=${value}`);
  const lines = schedules.flatMap(({ name, timing }) => {
    const command = crontabCommand(["env", ...environment, ...commandOf(session, name), "--quiet"]);
    return crontabTimes(timing, zone, now).map((times) => `${times} ${command}`);
  });
  if (!print) await replaceBlock(session, owner, lines);
  return { parts: [{ place: "crontab", text: withBlock("", { owner, lines }) }], removed: [] };
}

/** @returns the lines that went */
async function replaceBlock(
  { signal, logger }: Session,
  owner: string,
  lines: readonly string[],
): Promise<readonly string[]> {
  const before = await readCrontab(signal);
  const after = withBlock(before, { owner, lines });
  if (after !== before) await writeCrontab(after, signal);
  // --if-due has such a line do no harm beside those between the marks; without them it goes on alone.
  for (const line of strayLines(after, owner))
    logger.warn(
      `the crontab runs "${line.slice(line.search(/schedule (?:run|daemon)/))}" outside this configuration's marks, which stays: take it out with \`crontab -e\``,
    );
  const kept = new Set(after.split("\n"));
  return before.split("\n").filter((line) => !kept.has(line));
}

async function installUnits(
  session: Session,
  owner: string,
  schedules: readonly ScheduleConfig[],
  { user, print }: ScheduleInstallRequest,
): Promise<ScheduleInstallation> {
  const directory = unitDirectory({ user });
  const files = schedules.flatMap(({ name, timing }) =>
    unitFiles({
      ...{ owner, timing, user, schedule: name },
      site: session.loaded.config.name,
      command: commandOf(session, name),
      environment: environmentOf(session),
      now: session.clock.now(),
    }),
  );
  const parts = files.map(({ name, text }) => ({ place: `${directory}/${name}`, text }));
  if (print) return { parts, removed: [] };
  const there = await listUnits(directory);
  const own = ownUnits(there, owner);
  const taken = files.find(({ name }) => there.has(name) && !own.includes(name));
  if (taken !== undefined) throw isTaken(`${directory}/${taken.name}`);
  for (const { name, text } of files) await writeUnit(directory, name, text);
  const stale = own.filter((name) => !files.some((file) => file.name === name));
  const removed = await removeUnits(session, stale, user);
  const timers = files.map(({ name }) => name).filter((name) => name.endsWith(".timer"));
  // A timer that runs goes on with its old times until it is started anew.
  for (const args of [["daemon-reload"], ["enable", ...timers], ["restart", ...timers]]) {
    try {
      await systemctl(args, { user, signal: session.signal });
    } catch (error) {
      throw isBackupctlError(error, "TOOL_FAILED") ? areNotStarted(directory, error) : error;
    }
  }
  return { parts, removed };
}

function areNotStarted(directory: string, error: BackupctlError): BackupctlError {
  return new BackupctlError(error.code, `the units lie in ${directory}, but not all run: ${error.message}`, {
    hint: "Install again once that is mended; `backupctl schedule uninstall` with the same options takes them back.",
    cause: error,
  });
}

function ownUnits(units: ReadonlyMap<string, string>, owner: string): readonly string[] {
  return [...units].filter(([, firstLine]) => firstLine === ownerLine(owner)).map(([name]) => name);
}

/** Two configurations of one name would take each other's units. */
function isTaken(file: string): BackupctlError {
  return new BackupctlError("USAGE", `${file} is not of this configuration`, {
    hint: "Give this configuration another `name`, or remove that unit.",
  });
}

/** Timers first: what they start is not to begin any more. @returns what went, their stamps too */
async function removeUnits(session: Session, names: readonly string[], user: boolean): Promise<readonly string[]> {
  if (names.length === 0) return [];
  const { signal } = session;
  const directory = unitDirectory({ user });
  const timers = names.filter((name) => name.endsWith(".timer"));
  if (timers.length > 0) await systemctl(["disable", "--now", ...timers], { user, signal });
  const stamps = timers.length > 0 ? await removeStamps(session, timers, user) : [];
  for (const name of names) await removeUnit(directory, name);
  await systemctl(["daemon-reload"], { user, signal });
  return [...names, ...stamps];
}

/** Of when each last elapsed systemd keeps a stamp for good: one that is installed again would go by what was long ago. */
async function removeStamps(
  { signal, logger }: Session,
  timers: readonly string[],
  user: boolean,
): Promise<readonly string[]> {
  try {
    await systemctl(["clean", "--what=state", ...timers], { user, signal });
    return timers.map((timer) => `stamp-${timer}`);
  } catch (error) {
    // Before version 244 it can't.
    if (!isBackupctlError(error, "TOOL_FAILED")) throw error;
    logger.warn(
      `systemd goes on keeping when ${timers.join(", ")} last elapsed, in files stamp-*.timer: ${error.message}`,
    );
    return [];
  }
}

function commandOf({ program, loaded }: Session, schedule: string): readonly string[] {
  return [program.path, "schedule", "run", schedule, "--if-due", "--config", loaded.origin];
}

function environmentOf({ program, loaded }: Session): Readonly<Record<string, string>> {
  return { ...program.environment, BACKUPCTL_STATE_DIR: loaded.config.stateDir };
}
