import { existsSync, mkdirSync, statSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, test } from "vitest";
import { createTemporaryDirectory } from "../../src/platform/temporary-directory.ts";
import { tempDir } from "../helpers/temp-dir.ts";

test("a temporary directory is private, and goes with all that is in it", async () => {
  const parent = tempDir();
  const [first, second] = [await createTemporaryDirectory(parent), await createTemporaryDirectory(parent)];
  mkdirSync(join(first.path, "folder"));
  writeFileSync(join(first.path, "folder/file"), "x");

  expect(statSync(first.path).mode & 0o777).toBe(0o700);
  expect(dirname(first.path)).toBe(parent);
  expect(second.path).not.toBe(first.path);

  await first.dispose();
  await first.dispose();
  expect(existsSync(first.path)).toBe(false);
  expect(existsSync(second.path)).toBe(true);
  await second.dispose();
});
