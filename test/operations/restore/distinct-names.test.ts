import { readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { requireDistinctNames } from "../../../src/operations/restore/distinct-names.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { restore, www } from "./tools.ts";

/** That they are refused where case does not count is shown on a file system that ignores it. */

test("names that differ in case alone are two where case counts", async () => {
  const root = tempDir();
  const names = ["A", "A/b", "A/B", "a", "a/b", "a/b/c", "a/b/C", "x/y/z", "X/y"].map((name) => Buffer.from(name));

  await requireDistinctNames(root, names, new AbortController().signal);

  expect(readdirSync(root)).toEqual([]);
});

test("forms of one name are two where they count", async () => {
  const names = ["caf\u00e9", "cafe\u0301", "stra\u00dfe", "STRASSE", "a\u200db", "ab"].map((name) =>
    Buffer.from(name),
  );

  await requireDistinctNames(tempDir(), names, new AbortController().signal);
});

test("they are restored in place there", async () => {
  const site = await openSite();
  for (const name of ["README", "readme"]) writeFileSync(join(www(site), name), name);
  await createOne(site);
  for (const name of ["README", "readme"]) writeFileSync(join(www(site), name), "newer");

  await restore(site.operations, { latest: true, overwrite: true });

  for (const name of ["README", "readme"]) expect(readFileSync(join(www(site), name), "utf8")).toBe(name);
});

test("an interruption ends the look at them", async () => {
  const names = [Buffer.from("a")];

  await expect(requireDistinctNames(tempDir(), names, AbortSignal.abort(new Error("enough")))).rejects.toThrow(
    "enough",
  );
});
