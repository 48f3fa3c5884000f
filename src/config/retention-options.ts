import { z } from "zod";
import { CATEGORIES, type Category } from "../domain/backup.ts";
import { parseDuration, parseFiniteDuration } from "../domain/duration.ts";
import type { KeepRules, StoragePolicy } from "../domain/retention/policy.ts";
import type { RetentionConfig } from "./config.ts";
import { durationField, nameField } from "./fields.ts";

/** The section `retention` of the configuration. */
export function retentionSection() {
  const period = durationField({ forever: true });
  return z
    .strictObject({
      incremental: period.default("7d").describe("Incremental and differential backups."),
      daily: period.default("30d").describe("The first full backup of a day."),
      weekly: period.default("12w").describe("The first full backup of a week."),
      monthly: period.default("12mo").describe("The first full backup of a month."),
      yearly: period
        .optional()
        .describe("The first full backup of a year. Without it no backup becomes yearly.")
        .meta({ example: "7y" }),
      snapshots: period.default("90d").describe("Backups of the configuration."),
      manual: period.default("forever").describe("Backups made with `create --manual`."),
      ...countOptions(),
      max_delete: z
        .string("must be a share, such as 20%")
        .regex(/^(?:100|[1-9]?\d)%$/, "must be a share from 0% to 100%")
        .default("20%")
        .describe(
          "`cleanup` that would remove a larger share of a storage's backups does nothing unless it is forced. What hangs from one full backup may always go with it.",
        ),
      storages: z
        .record(nameField, storageRules())
        .default({})
        .describe(
          "For a storage, by its name: longer periods for any of the classes, and its own `max_backups` and `keep_…` in place of those above.",
        )
        .meta({ example: { offsite: { daily: "90d", keep_monthly: 24 } } }),
    })
    .prefault({})
    .describe("How long backups are kept, by class; `cleanup` removes the others.");
}

function storageRules() {
  const period = durationField({ forever: true }).optional();
  const periods = Object.fromEntries(CATEGORIES.map((name) => [name, period])) as Record<Category, typeof period>;
  return z.strictObject({ ...periods, ...countOptions() });
}

function countOptions() {
  const most = z.int().min(1).max(100_000).optional();
  const newestOf = (period: string) =>
    most.describe(`The newest backup of each source of so many ${period} that have one, however old.`);
  return {
    max_backups: most
      .describe("At most so many backups of each type, manual ones not counted: the newest stay.")
      .meta({ example: 200 }),
    keep_last: most.describe("So many of the newest backups of each source, however old.").meta({ example: 3 }),
    keep_hourly: newestOf("hours").meta({ example: 24 }),
    keep_daily: newestOf("days").meta({ example: 7 }),
    keep_weekly: newestOf("weeks").meta({ example: 5 }),
    keep_monthly: newestOf("months").meta({ example: 12 }),
    keep_yearly: newestOf("years").meta({ example: 10 }),
    keep_within: durationField()
      .optional()
      .describe("All backups of a source that were made so long before its newest one.")
      .meta({ example: "14d" }),
    keep_tag: z
      .array(z.string().min(1).max(128))
      .optional()
      .describe("All backups with one of these tags.")
      .meta({ example: ["release"] }),
  };
}

type Section = z.output<ReturnType<typeof retentionSection>>;
type Counts = z.output<ReturnType<typeof storageRules>>;

export function retentionOf(section: Section): RetentionConfig {
  return {
    incremental: parseDuration(section.incremental),
    daily: parseDuration(section.daily),
    weekly: parseDuration(section.weekly),
    monthly: parseDuration(section.monthly),
    yearly: section.yearly === undefined ? undefined : parseDuration(section.yearly),
    snapshots: parseDuration(section.snapshots),
    manual: parseDuration(section.manual),
    maxDeletePercent: Number(section.max_delete.slice(0, -1)),
  };
}

/** What holds in one storage: its own rules, and the common ones where it has none. An archive keeps for ever what is not said of it. */
export function storagePolicy(section: Section, name: string, isArchive: boolean): StoragePolicy {
  const own: Counts | undefined = section.storages[name];
  const periods = CATEGORIES.flatMap((category) => {
    const period = own?.[category] ?? (isArchive ? "forever" : undefined);
    return period === undefined ? [] : [[category, parseDuration(period)] as const];
  });
  const given = Object.entries(own ?? {}).filter(([, value]) => value !== undefined);
  const rules: Counts = { ...section, ...Object.fromEntries(given) };
  return { longer: Object.fromEntries(periods), keep: keepRulesOf(rules), maxBackups: rules.max_backups };
}

function keepRulesOf(rules: Counts): KeepRules {
  const { keep_hourly: hourly, keep_daily: daily, keep_weekly: weekly } = rules;
  const { keep_monthly: monthly, keep_yearly: yearly, keep_within: within, keep_tag: tags = [] } = rules;
  return {
    last: rules.keep_last,
    periods: { hourly, daily, weekly, monthly, yearly },
    within: within === undefined ? undefined : parseFiniteDuration(within),
    tags,
  };
}
