import { describe, expect, test } from "vitest";
import type { ScheduleSummary } from "../../src/operations/operations.ts";
import { fakeConfig, scheduleSummary } from "./fakes.ts";
import { run } from "./harness.ts";

const missed: ScheduleSummary = {
  ...scheduleSummary,
  ...{ name: "often", cron: "*/15 * * * *", last: undefined },
  counts: { total: 0, completed: 0, failed: 0 },
  missed: { count: 1000, first: "2026-01-01T00:00:00.000Z", last: "2026-01-11T09:30:00.000Z" },
};
const failed: ScheduleSummary = {
  ...scheduleSummary,
  name: "check",
  operation: "verify",
  last: scheduleSummary.last && { ...scheduleSummary.last, status: "failed", summary: "the disk is gone" },
};
const off: ScheduleSummary = { ...missed, name: "off", enabled: false, next: undefined, missed: undefined };

function listing(...schedules: ScheduleSummary[]) {
  return { operations: { listSchedules: async () => schedules }, columns: 140 };
}

describe("schedule list", () => {
  test("says of each when it runs, how it went, and what was missed", async () => {
    const result = await run("schedule list", listing(scheduleSummary, missed, failed, off));

    expect(result.exitCode).toBe(0);
    expect(result.stdout).toMatchInlineSnapshot(`
      "Schedule  Runs    Times             Next (UTC)        Last              Status           Missed  Ended  Failed
      nightly   create  0 2 * * * UTC     2026-01-12 02:00  2026-01-11 02:00  completed                  365       2
      often     create  */15 * * * * UTC  2026-01-12 02:00  never                        1000 or more      0
      check     verify  0 2 * * * UTC     2026-01-12 02:00  2026-01-11 02:00  failed                     365       2
      off       create  */15 * * * * UTC  off               never                                          0
      "
    `);
    expect(result.stderr).toMatchInlineSnapshot(`
      "warning: schedule "often": 1000 or more runs were missed, the first at 2026-01-01 00:00:00 UTC; it has never run here
      warning: schedule "check": its last run, of 2026-01-11 02:00:01 UTC, failed: the disk is gone
      "
    `);
  });

  test("says where there is none", async () => {
    expect((await run("schedule list", listing())).stdout).toBe(
      "The configuration has no schedule that can be used.\n",
    );
  });
});

const partial: ScheduleSummary = {
  ...failed,
  ...{ name: "half", operation: "create" },
  last: failed.last && { ...failed.last, status: "partial", summary: 'backup 1 partial; source "db" failed' },
};

describe("schedule check", () => {
  test("ends with 4 where a part failed, and says which", async () => {
    const result = await run("schedule check", listing(scheduleSummary, partial));

    expect(result).toMatchObject({
      exitCode: 4,
      stdout:
        'schedule "half": its last run, of 2026-01-11 02:00:01 UTC, partial: backup 1 partial; source "db" failed\n',
    });
    expect((await run("schedule list", listing(partial))).stderr).toContain('source "db" failed');
  });

  test("is content where all has run", async () => {
    expect(await run("schedule check", listing(scheduleSummary, off))).toMatchObject({ exitCode: 0 });
    expect((await run("schedule check --quiet", listing(scheduleSummary))).stdout).toBe("");
  });

  test("ends with 4, and says what was missed or failed, quiet or not", async () => {
    const result = await run("schedule check --quiet", listing(scheduleSummary, missed, failed));

    expect(result.exitCode).toBe(4);
    expect(result.stdout).toMatchInlineSnapshot(`
      "schedule "often": 1000 or more runs were missed, the first at 2026-01-01 00:00:00 UTC; it has never run here
      schedule "check": its last run, of 2026-01-11 02:00:01 UTC, failed: the disk is gone
      "
    `);
    const json = await run("schedule check --json", listing(scheduleSummary, missed, failed));
    expect(json.exitCode).toBe(4);
    expect(json.json()).toMatchObject({ schedules: [{ name: "often", missed: { runs: 1000 } }, { name: "check" }] });
  });
});

describe("schedule run", () => {
  test("ends as its work did, and says what went wrong", async () => {
    const result = await run("schedule run nightly", {
      operations: {
        runSchedule: async ({ name }) => ({
          ...{ name, ran: true, scheduledFor: "2026-01-11T02:00:00.000Z", exitCode: 3, summary: "2 copies made" },
          problems: ['storage "usb" is pending\u001b[31m'],
          next: "2026-01-12T02:00:00.000Z",
        }),
      },
    });

    expect(result.exitCode).toBe(3);
    expect(result.stdout).toBe('schedule "nightly" partly done: 2 copies made; next 2026-01-12 02:00:00 UTC\n');
    expect(result.stderr).toContain('storage "usb" is pending');
    expect(result.stderr).not.toContain("\u001b[31m");
  });

  test("says that it did nothing", async () => {
    const result = await run("schedule run nightly --if-due", {
      operations: {
        runSchedule: async ({ name }) => ({
          ...{ name, ran: false, scheduledFor: undefined, exitCode: 0, summary: "it is not due", problems: [] },
          next: "2026-01-12T02:00:00.000Z",
        }),
      },
    });

    expect(result).toMatchObject({
      exitCode: 0,
      stdout: 'schedule "nightly": nothing to do, it is not due; next 2026-01-12 02:00:00 UTC\n',
    });
  });

  test("needs a name", async () => {
    expect(await run("schedule run")).toMatchObject({ exitCode: 2 });
  });
});

describe("schedule install", () => {
  test("says what it put where, and what went", async () => {
    expect((await run("schedule install --systemd")).stdout).toBe(
      "installed /etc/systemd/system/backupctl-shop-nightly.timer\nremoved   backupctl-shop-old.timer\n1 part installed, 1 removed. See `backupctl schedule list`.\n",
    );
  });

  test("prints one part as it is, and several with their places", async () => {
    const parts = [
      { place: "/x/a.service", text: "[Service]\n" },
      { place: "/x/a.timer", text: "[Timer]\n" },
    ];
    const both = { operations: { installSchedules: async () => ({ parts, removed: [] }) } };
    const one = { operations: { installSchedules: async () => ({ parts: parts.slice(1), removed: [] }) } };

    expect((await run("schedule install --cron --print", one)).stdout).toBe("[Timer]\n");
    expect((await run("schedule install --systemd --print", both)).stdout).toBe(
      "# /x/a.service\n[Service]\n\n# /x/a.timer\n[Timer]\n\n",
    );
  });

  test.each(["schedule install", "schedule install --cron --systemd", "schedule uninstall --cron --user"])(
    "%s is refused",
    async (line) => {
      const result = await run(line);

      expect(result).toMatchObject({ exitCode: 2, calls: [] });
    },
  );

  test("of nothing that is there takes nothing back", async () => {
    const operations = { uninstallSchedules: async () => ({ parts: [], removed: [] }) };

    expect((await run("schedule uninstall --systemd", { operations })).stdout).toBe("There was nothing to remove.\n");
  });
});

describe("schedule daemon", () => {
  test("reads the file again that it was started with, strictly, wherever another one lies by then", async () => {
    const asked: (string | undefined)[] = [];
    const result = await run("schedule daemon", {
      operations: { serveSchedules: async ({ reload }) => void (await reload()) },
      loadConfig: async ({ path, mode }) => {
        asked.push(path, mode);
        return fakeConfig(asked.length > 2 ? ["mind the gap"] : []);
      },
    });

    expect(asked).toEqual([undefined, "strict", "/site/backup.config.yaml", "strict"]);
    expect(result.stderr).toContain("mind the gap");
  });

  test("says which run did not end well", async () => {
    const result = await run("schedule daemon --quiet");

    expect(result).toMatchObject({ exitCode: 0, stdout: "" });
    expect(result.stderr).toContain('schedule "nightly" ended with exit status 3');
  });
});
