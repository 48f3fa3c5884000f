import { mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, onTestFinished } from "vitest";

function makeDir(): string {
  return realpathSync(mkdtempSync(join(tmpdir(), "backupctl-test-")));
}

function remove(dir: string): void {
  rmSync(dir, { recursive: true, force: true, maxRetries: 3 });
}

/** A new empty directory that is removed when the running test ends. */
export function tempDir(): string {
  const dir = makeDir();
  onTestFinished(() => remove(dir));
  return dir;
}

/** As `tempDir`, for the body of a `describe` or `beforeAll`: removed after the suite. */
export function suiteTempDir(): string {
  const dir = makeDir();
  // A tree of 50,000 files takes its time on a busy disk.
  afterAll(() => remove(dir), 300_000);
  return dir;
}

/** As `tempDir`, removed when `use` has ended; for code that runs outside a test too. */
export async function withTempDir<T>(use: (dir: string) => Promise<T>): Promise<T> {
  const dir = makeDir();
  try {
    return await use(dir);
  } finally {
    remove(dir);
  }
}
