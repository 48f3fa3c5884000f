import { join } from "node:path";
import { expect, it } from "vitest";
import { openBesideFile } from "../../src/platform/beside-file.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { namesIn } from "../operations/restore/tools.ts";

it("has the first that is whole take the name of two that write one file", async () => {
  const folder = tempDir();
  const first = await openBesideFile(join(folder, "file"), false);
  const second = await openBesideFile(join(folder, "file"), false);

  await first.commit();

  await expect(second.commit()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
  await second.discard();
  expect(namesIn(folder)).toEqual(["file"]);
});

it("writes a file whose name is as long as one may be", async () => {
  const folder = tempDir();
  const name = `${"ü".repeat(127)}x`;

  const file = await openBesideFile(join(folder, name), false);
  await file.commit();

  expect(namesIn(folder)).toEqual([name]);
});

it("takes back the folders that it made for a file that can't be opened", async () => {
  const folder = tempDir();

  await expect(openBesideFile(join(folder, "a/b", "x".repeat(256)), false)).rejects.toMatchObject({
    code: "ENAMETOOLONG",
  });

  expect(namesIn(folder)).toEqual([]);
});
