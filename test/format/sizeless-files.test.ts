import * as fs from "node:fs";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import type { TreeNode } from "../../src/domain/artifact.ts";
import { writeTreeSource } from "../../src/format/source-writer.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { compareNames } from "../../src/platform/walk.ts";
import { type FormatRun, formatRun, nodesOf, readTree } from "../helpers/format-run.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { nodeAt } from "../helpers/tree-nodes.ts";

const pool = new WorkerPool(2);
afterAll(() => pool.close());

async function backUp(nodes: readonly TreeNode[], parent?: FormatRun) {
  const made = formatRun(pool, parent === undefined ? {} : { parent });
  const problems: string[] = [];
  const sorted = nodes.toSorted((a, b) => compareNames(a.name, b.name));
  const { artifacts, totals } = await writeTreeSource(nodesOf(...sorted), made.run, made.source, {
    onEntry: () => undefined,
    onUnreadable: (name, errno) => problems.push(`${name.toString()} ${errno}`),
    onChanged: (name) => problems.push(`${name.toString()} changed`),
  });
  const entries = await readTree(made, artifacts);
  return { made, totals, problems, entries };
}

/** Of a size that is nobody's to know before it was read: one page, and more than one part of a large file. */
const sizeless = ["/proc/version", "/proc/kallsyms"].filter((file) => fs.existsSync(file));

it.runIf(sizeless.length > 0)("are read to their end where stat says that they have no size", async () => {
  expect(sizeless.map((file) => fs.statSync(file).size)).toEqual(sizeless.map(() => 0));

  const { entries, problems, totals } = await backUp(sizeless.map((file) => nodeAt(file)));

  expect(problems).toEqual([]);
  const read = Object.fromEntries(entries.map(({ entry, bytes }) => [`/${entry.name.toString()}`, bytes]));
  for (const file of sizeless) expect(read[file]?.equals(fs.readFileSync(file))).toBe(true);
  expect(entries.map(({ entry, bytes }) => entry.size - bytes.length)).toEqual(sizeless.map(() => 0));
  expect(totals.bytes).toBe(sizeless.reduce((sum, file) => sum + fs.readFileSync(file).length, 0));
});

it("are read again by the next backup though nothing that stat says has changed", async () => {
  const file = join(tempDir(), "sizeless");
  fs.writeFileSync(file, "");
  const asItWas = nodeAt(file);
  const parent = await backUp([asItWas]);
  fs.writeFileSync(file, "not empty");

  const { entries } = await backUp([asItWas], parent.made);

  expect(entries.map(({ bytes }) => bytes.toString())).toEqual(["not empty"]);
});

it("are empty where nothing can be read of them, and unreadable where they can't be opened", async () => {
  const folder = tempDir();
  for (const name of ["empty", "gone"]) fs.writeFileSync(join(folder, name), "");
  const nodes = ["empty", "gone"].map((name) => nodeAt(join(folder, name)));
  fs.rmSync(join(folder, "gone"));

  const { entries, problems } = await backUp(nodes);

  expect(entries.map(({ entry }) => [entry.size, entry.chunks.length])).toEqual([[0, 0]]);
  expect(problems).toEqual([`${join(folder, "gone").slice(1)} ENOENT`]);
});
