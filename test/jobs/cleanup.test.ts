import { expect, test } from "vitest";
import { cleanupJob } from "../../src/jobs/cleanup.ts";
import type { CleanupResult } from "../../src/operations/operations.ts";
import { childId, cleanupResult, fakeOperations, fullId } from "../cli/fakes.ts";

const RUN = { schedule: "tidy", scheduledFor: "2026-01-11T05:00:00.000Z", next: "2026-01-12T05:00:00.000Z" };

type Cleaned = CleanupResult["storages"][number];

/** What a schedule makes of a cleanup of one storage. */
async function outcomeOf(cleaned: Partial<Cleaned>) {
  const [main] = cleanupResult.storages;
  if (main === undefined) throw new Error("no storage");
  const result = { ...cleanupResult, storages: [{ ...main, ...cleaned }] };
  return cleanupJob.run(fakeOperations([], { cleanup: async () => result }), { run: RUN, options: {}, lockWaitMs: 0 });
}

test("what is locked yet is told, and is no failure", async () => {
  const locked = [fullId, childId].map((backupId) => ({ backupId, until: new Date("2026-02-01T02:00:00Z") }));

  expect(await outcomeOf({ removed: [], bytes: 0, locked })).toEqual({
    exitCode: 0,
    summary: "0 copies removed, 0 B freed, 2 still locked",
    problems: [],
    facts: { copies_removed: 0, copies_locked: 2, bytes_freed: 0 },
  });
});

test("a problem names its storage once", async () => {
  const error = { code: "STORAGE_DENIED", message: 'this login may not delete in storage "main"' } as const;

  const { exitCode, problems } = await outcomeOf({
    notRemoved: [{ backupId: fullId, error }],
    failure: { code: "STORAGE_FAILED", message: "the line is cut" },
  });

  expect(exitCode).toBe(3);
  expect(problems).toEqual([error.message, 'storage "main": the line is cut']);
});
