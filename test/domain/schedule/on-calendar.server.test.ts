import { execFileSync } from "node:child_process";
import { CronExpressionParser } from "cron-parser";
import { describe, expect, test } from "vitest";
import { onCalendar } from "../../../src/domain/schedule/on-calendar.ts";
import { runsBetween } from "../../../src/domain/schedule/times.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { ZONES_WITH_CHANGES } from "./arbitrary-cron.ts";

const DAY_MS = 86_400_000;
const FROM = new Date("2026-01-10T12:00:30Z");
const CHANGES = [new Date("2026-03-29T01:00:00Z"), new Date("2026-10-25T01:00:00Z")];

/** When systemd has one of these expressions elapse, in order. */
function elapses(expressions: readonly string[], from: Date, iterations: number): readonly Date[] {
  const base = `--base-time=${from.toISOString().slice(0, 19).replace("T", " ")} UTC`;
  const times = expressions.flatMap((expression) => {
    const said = execFileSync("systemd-analyze", ["calendar", `--iterations=${iterations}`, base, expression], {
      encoding: "utf8",
      env: { ...process.env, TZ: "UTC", LC_ALL: "C", SYSTEMD_COLORS: "0" },
    });
    return [...said.matchAll(/(?:Next elapse|Iter(?:ation|\.) #\d+): \w+ (\S+) (\S+) UTC/g)].map(([, day, clock]) =>
      Date.parse(`${day}T${clock}Z`),
    );
  });
  return [...new Set(times)].sort((a, b) => a - b).map((at) => new Date(at));
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
    const parser = CronExpressionParser.parse(cron, { tz: "UTC", currentDate: FROM });
    const parsed = Array.from({ length: 1000 }, () => parser.next().toDate());
    const until = parsed.at(-1) ?? FROM;

    const timing = { cron, timezone: "UTC" };
    const ours = runsBetween(timing, FROM, until, 1000);
    const systemd = elapses(onCalendar(timing, FROM), FROM, 1000).slice(0, 1000);

    expect(ours).toEqual(parsed);
    expect(systemd.slice(0, parsed.length)).toEqual(parsed.slice(0, systemd.length));
    expect(systemd.length).toBeGreaterThan(cron === "0 0 29 2 *" ? 10 : 999);
  });

  test.each(EXPRESSIONS)("of %s in Berlin are the same but where clocks change", (cron) => {
    const timing = { cron, timezone: "Europe/Berlin" };
    const isOrdinary = (at: Date): boolean =>
      CHANGES.every((change) => Math.abs(at.getTime() - change.getTime()) > 2 * DAY_MS);
    const parser = CronExpressionParser.parse(cron, { tz: timing.timezone, currentDate: FROM });
    const parsed = Array.from({ length: 1000 }, () => parser.next().toDate());
    const until = new Date(Math.min(parsed.at(-1)?.getTime() ?? 0, FROM.getTime() + 320 * DAY_MS));

    const ours = runsBetween(timing, FROM, until, 1000);

    expect(ours.filter(isOrdinary)).toEqual(parsed.filter((at) => at <= until && isOrdinary(at)));
  });
});

describe.runIf(requireOrSkip("systemd-analyze"))("where clocks change", () => {
  test.each(ZONES_WITH_CHANGES.filter(({ timezone }) => timezone !== "UTC"))(
    "systemd misses no time in $timezone, $change",
    ({ timezone, change }) => {
      for (const cron of ["*/15 * * * *", "30 2 * * *", "15 1,2,3 * * *", "0 0 * * *"]) {
        const timing = { cron, timezone };
        const from = new Date(change.getTime() - DAY_MS + 30_000);
        const to = new Date(change.getTime() + DAY_MS);
        const ours = runsBetween(timing, from, to, 1000);
        const elapsed = new Set(elapses(onCalendar(timing, FROM), from, ours.length + 8).map((at) => at.getTime()));

        const left = ours.filter((at) => !elapsed.has(at.getTime()));

        expect({ cron, left }).toEqual({ cron, left: [] });
      }
    },
  );
});
