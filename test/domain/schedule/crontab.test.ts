import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCron } from "../../../src/domain/schedule/cron.ts";
import { crontabCommand, crontabTimes, strayLines, withBlock } from "../../../src/domain/schedule/crontab.ts";
import { runsBetween } from "../../../src/domain/schedule/times.ts";
import { wallClockAt } from "../../../src/domain/zone.ts";
import { cronExpressions, ZONES_WITH_CHANGES } from "./arbitrary-cron.ts";

const NOW = new Date("2026-01-10T12:00:00Z");
const DAY_MS = 86_400_000;

describe("the times of crontab lines", () => {
  test.each([
    ["are the expression's own in one zone", "30 2 * * *", "Europe/Berlin", "Europe/Berlin", ["30 2 * * *"]],
    ["have no star but in every hour", "*/15 */6 * * 1-5", "UTC", "UTC", ["0,15,30,45 0,6,12,18 * * 1,2,3,4,5"]],
    ["have a step where they are of every hour", "0,15,30,45 * * * *", "UTC", "UTC", ["*/15 * * * *"]],
    ["have minutes where an hour has no even steps", "5,20 * * * *", "UTC", "UTC", ["5,20 * * * *"]],
    ["are both distances of two clocks", "30 2 * * *", "Europe/Berlin", "UTC", ["30 0 * * *", "0,30 1 * * *"]],
    ["move to another day of the week", "0 1 * * 1", "Asia/Tokyo", "UTC", ["0 16 * * 0"]],
    ["are of any day where dates move", "0 1 15 6 *", "Asia/Tokyo", "UTC", ["0 16 * * *"]],
    ["have minutes of zones with half hours", "0 */12 * * *", "Asia/Kolkata", "UTC", ["30 6,18 * * *"]],
    ["are every minute's everywhere", "* * * * *", "Asia/Kolkata", "Europe/Berlin", ["* * * * *"]],
  ])("%s", (_, cron, timezone, systemZone, expected) => {
    expect(crontabTimes({ cron, timezone }, systemZone, NOW).toSorted()).toEqual(expected.toSorted());
  });

  test("are due, by whatever clock, at each time of the schedule", () => {
    const zones = fc.constantFrom(...new Set(ZONES_WITH_CHANGES.map(({ timezone }) => timezone)));
    fc.assert(
      fc.property(cronExpressions(), zones, zones, fc.nat(360), (cron, timezone, systemZone, day) => {
        const lines = crontabTimes({ cron, timezone }, systemZone, NOW).map(parseCron);
        const from = new Date(NOW.getTime() + day * DAY_MS);

        for (const run of runsBetween({ cron, timezone }, from, new Date(from.getTime() + 20 * DAY_MS), 50)) {
          const { year, month, day: date, hour, minute } = wallClockAt(run, systemZone);
          const weekday = new Date(Date.UTC(year, month - 1, date)).getUTCDay();
          const wakes = lines.some(({ minutes, hours, months, days, weekdays }) => {
            const anyDay = days === undefined && weekdays === undefined;
            const isDay = anyDay || days?.includes(date) === true || weekdays?.includes(weekday) === true;
            // In its own zone cron itself runs what clocks have skipped, as soon as they have.
            const isTime = (hours.includes(hour) && minutes.includes(minute)) || timezone === systemZone;
            return isDay && isTime && months.includes(month);
          });
          expect({ run, wakes }).toEqual({ run, wakes: true });
        }
      }),
      { numRuns: 60 },
    );
  });
});

describe("a block of a crontab", () => {
  const owner = "/etc/backupctl/config.yaml";
  const others = "MAILTO=ops\n# mine\n0 1 * * * other\n";

  test("goes to the end, is replaced where it is, and goes again, and leaves all else alone", () => {
    const first = withBlock(others, { owner, lines: ["0 2 * * * a"] });
    expect(first).toBe(`${others}# BEGIN backupctl ${owner}\n0 2 * * * a\n# END backupctl ${owner}\n`);

    const second = withBlock(`${first}5 5 * * * after\n`, { owner, lines: ["0 3 * * * b", "0 4 * * * c"] });
    expect(second).toBe(
      `${others}# BEGIN backupctl ${owner}\n0 3 * * * b\n0 4 * * * c\n# END backupctl ${owner}\n5 5 * * * after\n`,
    );

    expect(withBlock(second, { owner, lines: [] })).toBe(`${others}5 5 * * * after\n`);
    expect(withBlock("", { owner, lines: [] })).toBe("");
  });

  test("of another configuration stays", () => {
    const first = withBlock("", { owner: "/a.yaml", lines: ["0 2 * * * a"] });
    const both = withBlock(first, { owner: "/b.yaml", lines: ["0 2 * * * b"] });

    expect(withBlock(both, { owner: "/b.yaml", lines: [] })).toBe(first);
  });

  test("whose end was cut off takes nothing with it", () => {
    const cut = `# BEGIN backupctl ${owner}\n0 2 * * * a\n0 1 * * * other\n`;

    expect(withBlock(cut, { owner, lines: ["0 3 * * * b"] })).toBe(
      `0 2 * * * a\n0 1 * * * other\n# BEGIN backupctl ${owner}\n0 3 * * * b\n# END backupctl ${owner}\n`,
    );
  });

  test("is all that runs its schedules, but for lines that lost their marks or are somebody's own", () => {
    const command = (path: string) =>
      crontabCommand(["/bin/backupctl", "schedule", "run", "a", "--config", path, "--quiet"]);
    const lost = `0 2 * * * ${command(owner)}`;
    const others = `# 0 2 * * * ${command(owner)}\n0 2 * * * ${command(`${owner}.old`)}\n0 3 * * * cat ${owner}\n`;

    const crontab = withBlock(`${lost}\n${others}`, { owner, lines: [lost] });

    expect(strayLines(crontab, owner)).toEqual([lost]);
    expect(strayLines(withBlock(others, { owner, lines: [lost] }), owner)).toEqual([]);
    const odd = "/srv/50% of/it's.yaml";
    expect(strayLines(`0 2 * * * ${command(odd)}\n`, odd)).toHaveLength(1);
  });

  test("has no line end where there was none, and never loses a foreign line", () => {
    const line = fc.stringMatching(/^[ -~]{0,20}$/).filter((text) => !/^# (BEGIN|END) backupctl/.test(text));
    fc.assert(
      fc.property(fc.array(line, { maxLength: 8 }), fc.array(line, { maxLength: 3 }), (foreign, lines) => {
        const crontab = foreign.map((one) => `${one}\n`).join("");

        const installed = withBlock(crontab, { owner, lines });

        expect(withBlock(installed, { owner, lines })).toBe(installed);
        expect(withBlock(installed, { owner, lines: [] })).toBe(crontab);
      }),
    );
  });
});

test("a command of a crontab keeps what the shell and cron would take for something else", () => {
  expect(crontabCommand(["/usr/bin/backupctl", "run", "it's 100% $HOME"])).toBe(
    "/usr/bin/backupctl run 'it'\\''s 100\\% $HOME'",
  );
});
