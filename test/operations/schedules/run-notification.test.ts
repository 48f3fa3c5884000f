import { describe, expect, test } from "vitest";
import { type RunEnd, runNotification } from "../../../src/operations/schedules/run-notification.ts";

const ABOUT = {
  id: "0f0e0d0c-0b0a-4909-8807-060504030201",
  time: "2026-01-11T02:10:00.500Z",
  ...{ site: "shop", host: "web1", schedule: "nightly", operation: "create" },
};
const DONE: RunEnd = {
  status: "completed",
  scheduledFor: "2026-01-11T02:00:00.000Z",
  startedAt: "2026-01-11T02:00:03.000Z",
  endedAt: "2026-01-11T02:10:00.500Z",
  exitCode: 0,
  summary: "backup 1 completed: full, 5 B stored",
  problems: [],
  facts: { backup_id: "1", stored_bytes: 5 },
  error: undefined,
  next: "2026-01-12T02:00:00.000Z",
};

describe("what is told of a run", () => {
  test("that is done", () => {
    expect(runNotification(DONE, ABOUT)).toEqual({
      ...{ id: ABOUT.id, time: ABOUT.time, site: "shop", host: "web1" },
      event: "schedule.completed",
      severity: "info",
      title: 'schedule "nightly" of shop on web1 is done',
      lines: ["backup 1 completed: full, 5 B stored", "next: 2026-01-12T02:00:00.000Z"],
      details: {
        ...{ schedule: "nightly", operation: "create", status: "completed", exit_code: 0 },
        ...{ summary: "backup 1 completed: full, 5 B stored", problems: [] },
        scheduled_for: "2026-01-11T02:00:00.000Z",
        started_at: "2026-01-11T02:00:03.000Z",
        ended_at: "2026-01-11T02:10:00.500Z",
        duration_seconds: 597.5,
        facts: { backup_id: "1", stored_bytes: 5 },
        error: null,
        next_run: "2026-01-12T02:00:00.000Z",
      },
    });
  });

  test("that is done in part is a failure, with what went wrong", () => {
    const problems = ['source "db" failed: TOOL_FAILED: pg_dump exited with 1'];

    expect(runNotification({ ...DONE, status: "partial", exitCode: 3, problems }, ABOUT)).toMatchObject({
      ...{ event: "schedule.failed", severity: "warning", title: 'schedule "nightly" of shop on web1 is partly done' },
      lines: [DONE.summary, ...problems, "next: 2026-01-12T02:00:00.000Z"],
      details: { status: "partial", exit_code: 3, problems },
    });
  });

  test("that failed says why, and what helps", () => {
    const error = { code: "STORAGE_DENIED", message: "the login is wrong", hint: "Correct it." };

    expect(runNotification({ ...DONE, status: "failed", exitCode: 1, error }, ABOUT)).toMatchObject({
      ...{ event: "schedule.failed", severity: "critical", title: 'schedule "nightly" of shop on web1 failed' },
      lines: ["STORAGE_DENIED: the login is wrong", "Correct it.", "next: 2026-01-12T02:00:00.000Z"],
      details: { status: "failed", error },
    });
  });

  test("whose process died leaves out what nobody knows", () => {
    const died = { ...DONE, status: "interrupted", endedAt: undefined, exitCode: undefined, facts: {} } as const;

    expect(runNotification(died, ABOUT)).toMatchObject({
      ...{
        event: "schedule.failed",
        severity: "critical",
        title: 'schedule "nightly" of shop on web1 was interrupted',
      },
      details: { exit_code: null, ended_at: null, duration_seconds: null, error: null },
    });
  });

  test("with thousands of problems is of the first of them", () => {
    const problems = Array.from({ length: 5000 }, (_, i) => `problem ${i}`);

    const { details } = runNotification({ ...DONE, status: "partial", problems }, ABOUT);

    expect(details.problems).toEqual([...problems.slice(0, 20), "and 4980 more"]);
  });
});
