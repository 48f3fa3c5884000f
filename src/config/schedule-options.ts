import { z } from "zod";
import { parseCron } from "../domain/schedule/cron.ts";
import { isBackupctlError } from "../errors.ts";
import { timezoneField } from "./fields.ts";
import { notifySection } from "./schedules.ts";

/** The options that every schedule has beside its job's own. Apart from the schema: what reads cron expressions takes long to load. */
export function commonScheduleOptions(): Readonly<Record<string, z.ZodType>> {
  return {
    cron: z
      .string()
      .superRefine((text, context) => {
        const message = cronProblem(text);
        if (message !== undefined) context.addIssue({ code: "custom", message });
      })
      .optional()
      .describe("When: minute, hour, day of the month, month, day of the week; or @hourly, @daily, @weekly, @monthly.")
      .meta({ example: "30 2 * * 1-5" }),
    every: z
      .string()
      .optional()
      .describe("When, in place of `cron`: 15m, 6h, hour, day, week, month, or a weekday.")
      .meta({ example: "day" }),
    at: z.string().optional().describe("The time of the day, with `every: day` and longer.").meta({ example: "02:00" }),
    frequency: z
      .enum(["hourly", "daily", "weekly", "monthly"])
      .optional()
      .describe("Another word for `every`.")
      .meta({ example: "daily" }),
    time: z.string().optional().describe("Another word for `at`.").meta({ example: "02:00" }),
    timezone: timezoneField
      .optional()
      .describe("IANA time zone of these times. Default: that of the configuration.")
      .meta({ example: "Europe/Berlin" }),
    notify: notifySection(),
    enabled: z.boolean().default(true).describe("false: it is not run but by hand."),
  };
}

function cronProblem(text: string): string | undefined {
  try {
    parseCron(text);
    return undefined;
  } catch (error) {
    if (!isBackupctlError(error, "USAGE")) throw error;
    return error.message;
  }
}
