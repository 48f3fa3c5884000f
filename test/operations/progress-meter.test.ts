import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, test } from "vitest";
import type { BackupId } from "../../src/domain/backup.ts";
import type { Progress } from "../../src/operations/operations.ts";
import { startProgress } from "../../src/operations/progress-meter.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const ID = "550e8400-e29b-41d4-a716-446655440000" as BackupId;

function meter(file?: string) {
  const seen: Progress[] = [];
  let ms = 0;
  const progress = startProgress({
    phases: ["verify", "restore", "check"],
    backupId: ID,
    operation: "restore",
    file,
    clock: { now: () => new Date("2026-01-11T02:00:00.000Z"), monotonicMs: () => ms },
    onProgress: (now) => void seen.push(now),
  });
  const pass = (more: number): void => {
    ms += more;
  };
  return { progress, seen, pass, last: () => seen.at(-1) };
}

test("a phase with a total counts anew, one without goes on counting", async () => {
  const { progress, pass, last } = meter();
  progress.phase("verify", { bytes: 1_000 });
  progress.add(1_000, 3);
  progress.phase("restore", { bytes: 1_000 });
  pass(1_000);
  progress.add(250, 1);

  expect(last()).toMatchObject({
    phase: "restore",
    phasesCompleted: ["verify"],
    phasesRemaining: ["check"],
    percent: 25,
    bytesDone: 250,
    filesDone: 1,
    bytesPerSecond: 250,
    secondsRemaining: 3,
    secondsElapsed: 1,
  });
  progress.phase("check");
  expect(last()).toMatchObject({ phase: "check", bytesDone: 250 });
  await progress.finish();
});

test("files that hold next to nothing count as well as bytes", async () => {
  const { progress, pass, last } = meter();
  progress.phase("restore", { bytes: 0, files: 1_000 });
  pass(1_000);
  progress.add(0, 250);
  expect(last()).toMatchObject({ percent: 25, secondsRemaining: 3, bytesPerSecond: undefined });

  progress.phase("restore", { bytes: 16e9, files: 2 });
  pass(1_000);
  progress.add(8e9, 0);
  expect(last()).toMatchObject({ percent: 50, secondsRemaining: expect.closeTo(1, 3), bytesPerSecond: 8e9 });
  await progress.finish();
});

test("the time left is not told from the first bytes, which come late, but is once a percent or five seconds have passed", async () => {
  const { progress, pass, last } = meter();
  progress.total({ bytes: 1_000_000 });
  pass(1_000);
  progress.add(2_000, 1);
  expect(last()).toMatchObject({ percent: 0.2, bytesPerSecond: 2_000, secondsRemaining: undefined });

  pass(1_000);
  progress.add(8_000, 1);
  expect(last()).toMatchObject({ percent: 1, secondsRemaining: 198 });

  progress.total({ bytes: 100_000_000 });
  pass(1_000);
  progress.add(0, 0);
  expect(last()).toMatchObject({ secondsRemaining: undefined });
  pass(2_000);
  progress.add(0, 0);
  expect(last()).toMatchObject({ secondsRemaining: expect.closeTo(49_995, 0) });
  await progress.finish();
});

test("onlookers are told seldom, however often something is added", async () => {
  const { progress, pass, seen } = meter();
  for (let i = 0; i < 10_000; i++) {
    progress.add(1, 0);
    if (i % 10 === 0) pass(1);
  }
  await progress.finish();

  expect(seen.length).toBeLessThan(20);
});

test("a total that turns out too small never gives more than 100 percent", async () => {
  const { progress, last, pass } = meter();
  progress.total({ bytes: 10 });
  pass(200);
  progress.add(50, 0);

  expect(last()).toMatchObject({ percent: 100, secondsRemaining: 0 });
  await progress.finish();
});

test("a rough total is not believed once it is exceeded, and gives way to what is known later", async () => {
  const { progress, last, pass } = meter();
  progress.total({ bytes: 100, rough: true });
  pass(1_000);
  progress.add(40, 0);
  expect(last()).toMatchObject({ percent: 40, bytesTotal: 100 });

  pass(1_000);
  progress.add(80, 0);
  expect(last()).toMatchObject({ percent: undefined, bytesTotal: undefined, secondsRemaining: undefined });

  progress.correct(120);
  expect(last()).toMatchObject({ percent: 50, bytesTotal: 240 });
  await progress.finish();
});

test("the file says where the operation is, and is gone when it has ended", async () => {
  const file = join(tempDir(), "progress.json");
  const { progress, pass } = meter(file);
  pass(1_000);
  progress.activity("uploads/a.jpg");
  await sleep(100);
  pass(1_000);
  progress.activity("uploads/b.jpg");
  await sleep(100);

  const written: unknown = JSON.parse(readFileSync(file, "utf8"));
  expect(written).toMatchObject({
    backup_id: ID,
    operation: "restore",
    updated_at: "2026-01-11T02:00:00.000Z",
    progress: { phase: "verify", activity: "uploads/b.jpg" },
  });
  await progress.finish();
  expect(existsSync(file)).toBe(false);
});
