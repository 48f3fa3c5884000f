import { execFileSync } from "node:child_process";
import { CronExpressionParser } from "cron-parser";
import { describe, expect, test } from "vitest";
import { onCalendar } from "../../../src/domain/schedule/on-calendar.ts";
import { runsBetween } from "../../../src/domain/schedule/times.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { ZONES_WITH_CHANGES } from "./arbitrary-cron.ts";

const DAY_MS = 86_400_000;
const FROM = new Date("2026-01-10T12:00:30Z");
/** systemd knows no later one. */
const END_OF_CALENDAR = new Date("2200-01-01T00:00:00Z");
const CHANGES = [new Date("2026-03-29T01:00:00Z"), new Date("2026-10-25T01:00:00Z")];

/** When systemd has a timer with these expressions elapse, in order, for each timer. One process, which takes longer to start than to reckon. */
function elapses(timers: readonly (readonly string[])[], from: Date, iterations: number): readonly (readonly Date[])[] {
  const base = `--base-time=${from.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const said = execFileSync("systemd-analyze", ["calendar", `--iterations=${iterations}`, base, ...timers.flat()], {
    encoding: "utf8",
    env: { ...process.env, TZ: "UTC", LC_ALL: "C", SYSTEMD_COLORS: "0" },
  });
  const ofExpressions = said
    .split("\n\n")
    .map((block) =>
      [...block.matchAll(/(?:Next elapse|Iter(?:ation|\.) #\d+): \w+ (\S+) (\S+) UTC/g)].map(([, day, clock]) =>
        Date.parse(`${day}T${clock}Z`),
      ),
    );
  expect(ofExpressions).toHaveLength(timers.flat().length);
  return timers.map((expressions) => {
    const times = ofExpressions.splice(0, expressions.length).flat();
    return [...new Set(times)].sort((a, b) => a - b).map((at) => new Date(at));
  });
}

/** The next times as cron-parser has them; what is rare only to the end of systemd's own calendar. */
function parsedRuns(cron: string, timezone: string, until: Date): readonly Date[] {
  const parser = CronExpressionParser.parse(cron, { tz: timezone, currentDate: FROM, endDate: until });
  const runs: Date[] = [];
  while (runs.length < 1000 && parser.hasNext()) runs.push(parser.next().toDate());
  return runs;
}

const EXPRESSIONS = [
  "*/15 * * * *",
  "0 2 * * *",
  "30 2 * * *",
  "5,50 1-3 * * mon-fri",
  "0 3 1,15 * 0",
  "0 0 29 2 *",
  "@weekly",
];

describe.runIf(requireOrSkip("systemd-analyze"))("the next 1,000 runs", () => {
  test.each(EXPRESSIONS)("of %s are the same for cron-parser, for systemd and for us", (cron) => {
    const parsed = parsedRuns(cron, "UTC", END_OF_CALENDAR);

    const timing = { cron, timezone: "UTC" };
    const ours = runsBetween(timing, FROM, END_OF_CALENDAR, 1000);
    const [systemd = []] = elapses([onCalendar(timing, FROM)], FROM, 1000);

    expect(ours).toEqual(parsed);
    expect(systemd.slice(0, 1000)).toEqual(parsed);
    expect(parsed).toHaveLength(cron === "0 0 29 2 *" ? 42 : 1000);
  });

  test.each(EXPRESSIONS)("of %s in Berlin are the same but where clocks change", (cron) => {
    const timing = { cron, timezone: "Europe/Berlin" };
    const isOrdinary = (at: Date): boolean =>
      CHANGES.every((change) => Math.abs(at.getTime() - change.getTime()) > 2 * DAY_MS);
    const until = new Date(FROM.getTime() + 320 * DAY_MS);
    const parsed = parsedRuns(cron, timing.timezone, until);

    const ours = runsBetween(timing, FROM, parsed.length < 1000 ? until : (parsed.at(-1) ?? until), 1000);

    expect(ours.filter(isOrdinary)).toEqual(parsed.filter(isOrdinary));
  });
});

describe.runIf(requireOrSkip("systemd-analyze"))("where clocks change", () => {
  test.each(ZONES_WITH_CHANGES.filter(({ timezone }) => timezone !== "UTC"))(
    "systemd misses no time in $timezone, $change",
    ({ timezone, change }) => {
      const from = new Date(change.getTime() - DAY_MS + 30_000);
      const to = new Date(change.getTime() + DAY_MS);
      // systemd starts a process for each time in a zone: no more of them than are looked at.
      for (const { crons, most } of [
        { crons: ["*/15 * * * *"], most: 2 * 96 },
        { crons: ["30 2 * * *", "15 1,2,3 * * *", "0 0 * * *"], most: 2 * 3 },
      ]) {
        const timings = crons.map((cron) => ({ cron, timezone }));
        const expressions = timings.map((timing) => onCalendar(timing, FROM));
        const timers = elapses(expressions, from, most + 8);

        const left = timings.map((timing, index) => {
          const elapsed = new Set(timers[index]?.map((at) => at.getTime()));
          return runsBetween(timing, from, to, 1000).filter((at) => !elapsed.has(at.getTime()));
        });

        expect({ crons, left }).toEqual({ crons, left: crons.map(() => []) });
      }
    },
  );
});
