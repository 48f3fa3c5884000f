import type { LoadedConfig } from "../../config/config.ts";
import { isToBeAsked, waitMs } from "../../domain/schedule/wake.ts";
import { BackupctlError } from "../../errors.ts";
import { systemSleep } from "../../platform/clock.ts";
import { runInForeground } from "../../platform/process.ts";
import type { OperationContext } from "../context.ts";
import type { ScheduleDaemonRequest } from "../operations.ts";
import type { Session } from "../session.ts";
import { watchConfig } from "./watched-config.ts";

type Schedules = LoadedConfig["config"]["schedules"];

/**
 * Runs schedules when they are due, one after the other, until the session's signal aborts; between runs that is its ordinary end. Each run is
 * a program of its own, `schedule run NAME --if-due`: that decides, so nothing is remembered here, and its crash is not ours. Killed,
 * this leaves a run that goes on and is known to do so; started again, it asks for each schedule once, which makes up for what was missed.
 * So it does where the configuration's file was changed, which it looks at each time that it wakes up.
 * @throws the signal's reason where it cut off a run, which has cleaned up by then
 */
export async function serveSchedules(context: OperationContext, request: ScheduleDaemonRequest): Promise<void> {
  const { session } = context;
  const { clock, signal } = session;
  const watched = await watchConfig(session, request.reload);
  let schedules = enabledIn(session.loaded);
  if (schedules.length === 0) {
    throw new BackupctlError("USAGE", "the configuration has no schedule that is enabled", {
      hint: "Add one under `schedules:`; docs/schedules.md says how.",
    });
  }
  const asked = new Map<string, Date>();
  while (!signal.aborted) {
    const changed = await watched.ifChanged();
    if (changed !== undefined) {
      schedules = enabledIn(changed);
      asked.clear();
    }
    for (const { name, timing } of schedules) {
      const now = clock.now();
      if (!isToBeAsked(timing, asked.get(name), now)) continue;
      asked.set(name, now);
      const exitCode = await ask(session, name, request);
      signal.throwIfAborted();
      request.onRun?.({ name, exitCode });
    }
    const timings = schedules.map(({ timing }) => timing);
    await sleepUnlessAborted(waitMs(timings, clock.now()), signal);
  }
}

function enabledIn({ config }: LoadedConfig): Schedules {
  return config.schedules.filter(({ enabled }) => enabled);
}

function ask({ program, loaded, signal }: Session, name: string, { quiet }: ScheduleDaemonRequest): Promise<number> {
  const config = loaded.origin === "environment" ? [] : ["--config", loaded.origin];
  return runInForeground({
    command: program.path,
    args: ["schedule", "run", name, "--if-due", ...config, ...(quiet ? ["--quiet"] : [])],
    signal,
  });
}

async function sleepUnlessAborted(ms: number, signal: AbortSignal): Promise<void> {
  try {
    await systemSleep(ms, signal);
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
