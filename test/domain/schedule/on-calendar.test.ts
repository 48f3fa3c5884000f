import { describe, expect, test } from "vitest";
import { onCalendar } from "../../../src/domain/schedule/on-calendar.ts";

const NOW = new Date("2026-01-10T12:00:00Z");

describe("OnCalendar= of a schedule", () => {
  test.each([
    ["0 2 * * *", "UTC", ["*-*-* 02:00:00 UTC"]],
    ["*/15 6-8 * * mon-fri", "UTC", ["Mon,Tue,Wed,Thu,Fri *-*-* 06,07,08:00,15,30,45:00 UTC"]],
    ["0 0 1 1,7 *", "UTC", ["*-01,07-01 00:00:00 UTC"]],
    ["* * * * *", "UTC", ["*-*-* *:*:00 UTC"]],
    // Either day will do, which one expression can't say.
    ["0 0 1,15 * 0", "UTC", ["Sun *-*-* 00:00:00 UTC", "*-*-01,15 00:00:00 UTC"]],
    // systemd would leave out what clocks skip in March, and what they show the second time in October.
    ["30 2 * * *", "Europe/Berlin", ["*-*-* 02:30:00 Europe/Berlin", "*-03-* 01:00:00 UTC"]],
    ["30 * * * *", "Europe/Berlin", ["*-*-* *:30:00 Europe/Berlin", "*-03-* 01:00:00 UTC", "*-10-* 01:30:00 UTC"]],
    ["0 12 * * *", "Europe/Berlin", ["*-*-* 12:00:00 Europe/Berlin"]],
  ])("%s in %s", (cron, timezone, expected) => {
    expect(onCalendar({ cron, timezone }, NOW)).toEqual(expected);
  });
});
