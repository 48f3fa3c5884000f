import { promises as fs } from "node:fs";
import * as path from "node:path";
import { describe, expect, test } from "vitest";
import { makeDirectory, unmakeDirectory } from "../../src/platform/files.ts";
import { tempDir } from "../helpers/temp-dir.ts";

test("a directory is made with those above it that are missing, and the topmost of them is given", async () => {
  const root = tempDir();

  expect(await makeDirectory(path.join(root, "a", "b", "c"), 0o700)).toBe(path.join(root, "a"));
  expect(await makeDirectory(path.join(root, "a", "b", "d"))).toBe(path.join(root, "a", "b", "d"));
  expect(await makeDirectory(path.join(root, "a"))).toBeUndefined();
  expect((await fs.stat(path.join(root, "a", "b"))).mode & 0o777).toBe(0o700);
});

test("many at once make the same directory", async () => {
  const directory = path.join(tempDir(), "a", "b", "c", "d");

  await Promise.all(Array.from({ length: 20 }, () => makeDirectory(directory)));

  expect((await fs.stat(directory)).isDirectory()).toBe(true);
});

test("a file in the way is an error", async () => {
  const root = tempDir();
  await fs.writeFile(path.join(root, "file"), "");

  await expect(makeDirectory(path.join(root, "file"))).rejects.toMatchObject({ code: "EEXIST" });
  await expect(makeDirectory(path.join(root, "file", "below"))).rejects.toMatchObject({ code: "ENOTDIR" });
});

test.runIf(process.platform === "linux")(
  "a place that denies every name is an error, and not tried for ever",
  async () => {
    await expect(makeDirectory("/proc/nothing/below")).rejects.toMatchObject({ code: "ENOENT" });
  },
);

describe("taking back what was made", () => {
  test("leaves what was there before, also where somebody else took a part of it back", async () => {
    const before = tempDir();
    const deepest = path.join(before, "a", "b", "c");
    const topmost = await makeDirectory(deepest);
    await fs.rmdir(deepest);

    await unmakeDirectory(deepest, topmost);

    expect(await fs.readdir(before)).toEqual([]);
  });

  test("stops at a folder that something came to be in", async () => {
    const before = tempDir();
    const topmost = await makeDirectory(path.join(before, "a", "b"));
    await fs.writeFile(path.join(before, "a", "file"), "");

    await unmakeDirectory(path.join(before, "a", "b"), topmost);

    expect(await fs.readdir(path.join(before, "a"))).toEqual(["file"]);
  });
});
