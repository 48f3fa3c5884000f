import type { LoadedConfig } from "../../config/config.ts";
import type { RunStatus as ScheduleRunStatus } from "../../domain/schedule/past-run.ts";
import type { OnProgress } from "../operations.ts";

/** A row of `schedule list`. All times are ISO. */
export interface ScheduleSummary {
  readonly name: string;
  readonly operation: string;
  readonly enabled: boolean;
  readonly cron: string;
  readonly timezone: string;
  /** `undefined` of one that is not enabled. */
  readonly next: string | undefined;
  readonly last: ScheduleLastRun | undefined;
  /** Of the runs that ended. */
  readonly counts: { readonly total: number; readonly completed: number; readonly failed: number };
  /** What should have run, and nothing has made up for it. */
  readonly missed: { readonly count: number; readonly first: string; readonly last: string } | undefined;
}

interface ScheduleLastRun {
  readonly scheduledFor: string;
  readonly startedAt: string;
  readonly endedAt: string | undefined;
  readonly status: ScheduleRunStatus;
  readonly summary: string | undefined;
}

export interface ScheduleRunRequest {
  readonly name: string;
  /** Do nothing unless it is due. */
  readonly ifDue: boolean;
  readonly onProgress?: OnProgress | undefined;
}

/** For which of a schedule's times its run is; both ISO. */
export interface ScheduledRun {
  /** The schedule's name. */
  readonly schedule: string;
  readonly scheduledFor: string;
  readonly next: string;
}

export interface ScheduleRunResult {
  readonly name: string;
  /** False where nothing was to be done; `summary` says why. */
  readonly ran: boolean;
  /** ISO. */
  readonly scheduledFor: string | undefined;
  readonly exitCode: number;
  readonly summary: string;
  readonly problems: readonly string[];
  /** ISO. */
  readonly next: string;
}

export interface ScheduleInstallRequest {
  readonly how: "cron" | "systemd";
  /** Of systemd: the user's own manager. A crontab always is the user's. */
  readonly user: boolean;
  /** Change nothing. */
  readonly print: boolean;
}

export interface ScheduleInstallation {
  /** What is there now, or would be: each file's path, or `crontab`, and its text. */
  readonly parts: readonly { readonly place: string; readonly text: string }[];
  /** What went: units and the stamps of timers by their names, or lines of the crontab. */
  readonly removed: readonly string[];
}

export interface ScheduleDaemonRequest {
  /** Its runs say only what is wrong. */
  readonly quiet: boolean;
  /** Reads the configuration's file again. @throws what is wrong with it */
  readonly reload: () => Promise<LoadedConfig>;
  /** Called after each run, with its exit status. */
  readonly onRun?: ((run: { readonly name: string; readonly exitCode: number }) => void) | undefined;
}
