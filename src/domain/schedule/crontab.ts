import { offsetMs } from "../zone.ts";
import { clockChanges, skips } from "./clock-changes.ts";
import { type CronFields, parseCron } from "./cron.ts";
import type { Timing } from "./times.ts";
import { groupTimes } from "./times-of-day.ts";

const MINUTE_MS = 60_000;
const DAY_MINUTES = 24 * 60;
const DAY_MS = DAY_MINUTES * MINUTE_MS;

/**
 * The five fields of the lines with which a cron whose clock is in `systemZone` wakes up whenever the schedule may be due: at its very times
 * where the zones are the same, else, because the distance of two clocks changes, at some others as well.
 */
export function crontabTimes(timing: Timing, systemZone: string, now: Date): readonly string[] {
  const fields = parseCron(timing.cron);
  if (timing.timezone === systemZone || isEveryMinute(fields)) return [lineOf(fields)];
  const byShift = Map.groupBy(timesThere(fields, timing.timezone, systemZone, now), (minute) =>
    isEveryDay(fields) ? 0 : Math.floor(minute / DAY_MINUTES),
  );
  return [...byShift].flatMap(([dayShift, minutes]) =>
    groupTimes(minutes.map((minute) => (minute + DAY_MINUTES) % DAY_MINUTES)).map((times) =>
      lineOf({ ...shiftDays(fields, dayShift), ...times }),
    ),
  );
}

/** In minutes from the beginning of the schedule's own day: before 0 it is the day before there, from a day's length on the day after. */
function timesThere(fields: CronFields, timezone: string, systemZone: string, now: Date): readonly number[] {
  const changes = [...clockChanges(timezone, now), ...clockChanges(systemZone, now)];
  const moments = [now, ...changes.flatMap(({ at }) => [new Date(at.getTime() - 1), at])];
  const distances = new Set(moments.map((at) => (offsetMs(at, systemZone) - offsetMs(at, timezone)) / MINUTE_MS));
  const own = fields.hours.flatMap((hour) => fields.minutes.map((minute) => hour * 60 + minute));
  const atChanges = clockChanges(timezone, now).filter((change) => skips(fields, change));
  return [
    ...[...distances].flatMap((distance) => own.map((minute) => minute + distance)),
    ...atChanges.map(({ at, afterMs }) => {
      const day = Math.floor((at.getTime() + afterMs) / DAY_MS) * DAY_MS;
      return (at.getTime() + offsetMs(at, systemZone) - day) / MINUTE_MS;
    }),
  ];
}

function isEveryMinute({ minutes, hours, ...fields }: CronFields): boolean {
  return minutes.length === 60 && hours.length === 24 && isEveryDay(fields);
}

function isEveryDay({ months, days, weekdays }: Pick<CronFields, "months" | "days" | "weekdays">): boolean {
  return months.length === 12 && days === undefined && weekdays === undefined;
}

/** Weekdays move on; of dates any day may be the one before or after. */
function shiftDays(fields: CronFields, dayShift: number): CronFields {
  if (dayShift === 0) return fields;
  const { months, days, weekdays } = fields;
  if (months.length < 12 || days !== undefined || weekdays === undefined) return { ...fields, ...ANY_DAY };
  return { ...fields, weekdays: weekdays.map((weekday) => (weekday + dayShift + 7) % 7).sort((a, b) => a - b) };
}

const ANY_DAY = { months: Array.from({ length: 12 }, (_, month) => month + 1), days: undefined, weekdays: undefined };

/** cron takes what begins with a star for a job of every hour when clocks change, so only such a one gets a step. */
function lineOf({ minutes, hours, days, months, weekdays }: CronFields): string {
  const everyHour = hours.length === 24;
  return [
    (everyHour ? stepText(minutes) : undefined) ?? minutes.join(","),
    everyHour ? "*" : hours.join(","),
    days?.join(",") ?? "*",
    months.length === 12 ? "*" : months.join(","),
    weekdays?.join(",") ?? "*",
  ].join(" ");
}

function stepText(minutes: readonly number[]): string | undefined {
  const step = 60 / minutes.length;
  const isEven = minutes.every((minute, index) => minute === index * step);
  if (!isEven || minutes.length === 1) return undefined;
  return step === 1 ? "*" : `*/${step}`;
}

/** What is between two marks in somebody's crontab belongs to one configuration; everything else is left as it is. */
export interface CrontabBlock {
  /** The configuration's path. */
  readonly owner: string;
  /** Empty: there is to be none. */
  readonly lines: readonly string[];
}

/** @returns the crontab with this block in the place of the one that was there, or at its end */
export function withBlock(crontab: string, { owner, lines }: CrontabBlock): string {
  const [begin, end] = [`# BEGIN backupctl ${owner}`, `# END backupctl ${owner}`];
  const all = crontab === "" ? [] : crontab.replace(/\n$/, "").split("\n");
  const from = all.indexOf(begin);
  const to = from < 0 ? -1 : all.indexOf(end, from);
  const block = lines.length === 0 ? [] : [begin, ...lines, end];
  // A mark without its end was cut by hand: what follows it may be anybody's.
  const kept =
    to < 0
      ? [...all.filter((line) => line !== begin && line !== end), ...block]
      : all.toSpliced(from, to - from + 1, ...block);
  return kept.length === 0 ? "" : `${kept.join("\n")}\n`;
}

/** The lines outside its block, commented out ones aside, that run a schedule of this configuration: as after a mark was lost. */
export function strayLines(crontab: string, owner: string): readonly string[] {
  const words = [owner, crontabCommand([owner])];
  return withBlock(crontab, { owner, lines: [] })
    .split("\n")
    .filter((line) => !/^\s*#/.test(line) && /\bschedule (?:run|daemon)\b/.test(line))
    .filter((line) => words.some((word) => ` ${line} `.includes(` ${word} `)));
}

/** A command line of a crontab, in which cron takes % for a line break, from a program and its arguments. */
export function crontabCommand(words: readonly string[]): string {
  return words.map(shellWord).join(" ").replaceAll("%", "\\%");
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
