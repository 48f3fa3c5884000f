import { z } from "zod";
import { cronOfEvery } from "../domain/schedule/every.ts";
import { BackupctlError, isBackupctlError } from "../errors.ts";
import type { ScheduleConfig } from "./config.ts";
import { nameField } from "./fields.ts";

export const DEFAULT_OPERATION = "create";

/** Whom a schedule tells of its runs. */
export function notifySection() {
  const names = z.array(nameField).default([]);
  return z
    .strictObject({
      on_success: names
        .describe("Notifiers that are told of each run that is done, all of it.")
        .meta({ example: ["ops"] }),
      on_failure: names
        .describe("Notifiers that are told of each run that failed, was cut off, or is done in part only.")
        .meta({ example: ["ops"] }),
    })
    .prefault({})
    .describe("Notifiers that are told how its runs ended.");
}

/** Of a schedule as far as it is the same for every job; the job's own options lie beside these. */
export const scheduleFrame = z.looseObject({
  operation: z.string().default(DEFAULT_OPERATION),
  enabled: z.boolean().default(true),
  cron: z.string().optional(),
  every: z.string().optional(),
  at: z.string().optional(),
  frequency: z.enum(["hourly", "daily", "weekly", "monthly"]).optional(),
  time: z.string().optional(),
  timezone: z.string().optional(),
  notify: notifySection(),
});

type ScheduleFrame = z.output<typeof scheduleFrame>;

const EVERY_OF = { hourly: "hour", daily: "day", weekly: "week", monthly: "month" } as const;

export function schedulesSection<S extends z.ZodType>(schedule: S) {
  return z
    .record(nameField, schedule)
    .default({})
    .describe("What is run when: a name, and under it the times, the operation (create by default) and its options.");
}

export function scheduleConfigs(
  schedules: Readonly<Record<string, ScheduleFrame>>,
  timezone: string,
): readonly ScheduleConfig[] {
  return Object.entries(schedules).map(([name, schedule]) => {
    const { operation, enabled, cron, every, at, frequency, time, timezone: own, notify, ...options } = schedule;
    return {
      ...{ name, enabled, operation, options },
      timing: { cron: cronOf({ cron, every, at, frequency, time }), timezone: own ?? timezone },
      notify: { onSuccess: notify.on_success, onFailure: notify.on_failure },
    };
  });
}

/** What is wrong with a schedule's times, and at which option. */
export function timesProblem(
  schedule: Partial<ScheduleFrame>,
): { readonly option: string; readonly message: string } | undefined {
  try {
    cronOf(schedule);
    return undefined;
  } catch (error) {
    if (!isBackupctlError(error, "USAGE")) throw error;
    return { option: optionAtFault(schedule), message: error.message };
  }
}

function optionAtFault({ every, at, frequency, time }: Partial<ScheduleFrame>): string {
  if (at !== undefined) return "at";
  if (time !== undefined) return "time";
  if (every !== undefined) return "every";
  return frequency === undefined ? "cron" : "frequency";
}

function cronOf({ cron, every, at, frequency, time }: Partial<ScheduleFrame>): string {
  const given = [cron, every, frequency].filter((one) => one !== undefined);
  if (given.length === 0) throw new BackupctlError("USAGE", "is missing; say when with cron, every or frequency");
  if (given.length > 1) throw new BackupctlError("USAGE", "cron, every and frequency exclude each other");
  if (at !== undefined && time !== undefined)
    throw new BackupctlError("USAGE", "at and time are the same; leave one out");
  const clock = at ?? time;
  if (cron === undefined) return cronOfEvery({ every: every ?? EVERY_OF[frequency ?? "daily"], at: clock });
  if (clock !== undefined) throw new BackupctlError("USAGE", "means nothing with cron; leave it out");
  return cron;
}
