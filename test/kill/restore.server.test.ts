import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { said } from "../helpers/said.ts";
import { NO_CHOICES } from "../helpers/site.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { NOTHING_ASKED } from "../operations/restore/tools.ts";
import { createNext, expectNoLeavings, expectTrue, expectWholeBackups, nextRun } from "./after-the-kill.ts";
import { filesBelow, type KillSite, makeKillSite, STORAGE_FOLDERS, writeDatabase } from "./killed-program.ts";

interface Case {
  readonly what: string;
  readonly sources: readonly string[];
  /** In `target`; undefined: the sources' own places, which are in it. */
  readonly to?: string;
  readonly delete?: boolean;
  readonly before?: (target: string) => void;
  /** There may be other states than the old one and the new one. */
  readonly mixes?: boolean;
}

/** Where a restore goes, and what is there before it. */
const CASES: readonly Case[] = [
  { what: "a tree to a new place", sources: ["www"], to: "new" },
  {
    what: "a tree with two top folders into an empty folder",
    sources: ["both"],
    to: "new",
    before: empty,
    mixes: true,
  },
  { what: "a tree over another", sources: ["www"], to: "tree", before: oldTree, mixes: true },
  { what: "a tree instead of another", sources: ["www"], to: "tree", delete: true, before: oldTree, mixes: true },
  { what: "a database to a new place", sources: ["app"], to: "new.db" },
  { what: "a database over another", sources: ["app"], to: "app.db", before: (target) => databases(target, "app") },
  {
    what: "two databases in place",
    sources: ["one", "two"],
    before: (target) => databases(target, "one", "two"),
    mixes: true,
  },
  { what: "a stream over another", sources: ["export"], to: "export", before: oldStream },
];

const MORE = `  one: {engine: sqlite, path: "{dir}/target/one.db"}
  two: {engine: sqlite, path: "{dir}/target/two.db"}
  both: {engine: files, paths: ["{dir}/www", /etc/passwd]}`;

function empty(target: string): void {
  fs.mkdirSync(path.join(target, "new"));
}

function oldTree(target: string): void {
  const www = path.join(target, "tree", path.dirname(target), "www");
  fs.mkdirSync(path.join(www, "uploads"), { recursive: true });
  fs.writeFileSync(path.join(www, "index.html"), "old");
  fs.writeFileSync(path.join(www, "uploads/large"), "old as well");
  fs.writeFileSync(path.join(www, "kept"), "not in the backup");
}

function databases(target: string, ...names: readonly string[]): void {
  for (const name of names) writeDatabase(path.join(target, `${name}.db`), "another");
}

function oldStream(target: string): void {
  fs.writeFileSync(path.join(target, "export"), "another");
}

describe("a restore that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const target = path.join(directory, "target");
  let site: KillSite;
  let reference: string;
  beforeAll(async () => {
    site = await makeKillSite(directory, MORE);
    for (const name of ["one", "two"]) writeDatabase(path.join(target, `${name}.db`), `of ${name}`);
    ({ id: reference } = await nextRun(site, (operations) => createNext(operations, "full")));
  });

  it.each(CASES)(
    "of $what leaves the old or the new, or says what is mixed, and the next one finishes",
    async (row) => {
      const { sources, before, mixes } = row;
      const to = row.to === undefined ? undefined : path.join(target, row.to);
      fs.rmSync(target, { recursive: true });
      fs.mkdirSync(target);
      before?.(target);
      site.keep();
      const kept = stored();
      const place = to === undefined ? [] : ["--to", to];
      const how = ["--overwrite", ...(row.delete ? ["--delete"] : []), "--yes"];
      const old = filesBelow(target);
      const kills = await site.kills(["restore", reference, "--source", sources.join(","), ...place, ...how]);
      const restored = filesBelow(target);
      expect(restored).not.toEqual(old);

      for (const kill of kills) {
        await kill.run();
        await said(kill.what, async () => {
          const now = filesBelow(target).filter((line) => !isBeside(line));
          // Each file is the old or the new one; folders get their modes last.
          if (mixes) expect([...old, ...restored]).toEqual(expect.arrayContaining(now.filter(isNoFolder)));
          else expect([old, restored]).toContainEqual(now);
          const warnings: string[] = [];
          if (to === undefined) await createMarked(site, sources, isOneOf(now, [old, restored]), warnings);
          const restoreAgain = async (operations: Operations): Promise<void> => {
            const asked = { ...NOTHING_ASKED, reference, sources, overwrite: true, delete: row.delete === true };
            const request = to === undefined ? asked : { ...asked, to };
            await operations.restore(request, await operations.planRestore(request));
          };
          await nextRun(site, restoreAgain, warnings);
          expectTrue(warnings, sources, { old, now, restored });
          expect(filesBelow(target)).toEqual(restored);
          await expectNoLeavings(site);
          // A restore writes nothing there.
          if (to !== undefined) expect(stored()).toEqual(kept);
        });
      }
      await nextRun(site, expectWholeBackups);
    },
  );

  function stored(): readonly string[] {
    return STORAGE_FOLDERS.flatMap((name) => filesBelow(path.join(directory, name)));
  }
});

/** A backup of what is there says for good if it may be neither old nor new, and has to if it is. */
async function createMarked(
  site: KillSite,
  sources: readonly string[],
  isWhole: boolean,
  warnings: string[],
): Promise<void> {
  const create = (operations: Operations) => operations.create({ ...NO_CHOICES, mode: "full", sources });
  const { backup } = await nextRun(site, create, warnings);
  const { metadata } = await nextRun(site, (operations) => operations.show(backup?.id ?? ""));
  const isMarked = metadata?.warnings.some((warning) => warning.includes("neither old nor new"));
  if (!isWhole) expect(isMarked).toBe(true);
  expect(isMarked).toBe(warnings.some((warning) => warning.includes("neither old nor new")));
}

function isOneOf(lines: readonly string[], states: readonly (readonly string[])[]): boolean {
  return states.some((state) => state.join("\n") === lines.join("\n"));
}

/** What a restore writes has such a name until it is whole. */
function isBeside(line: string): boolean {
  return /(^|\/)\.[^/ ]*(backupctl|restore)-[0-9a-f]+/.test(line);
}

function isNoFolder(line: string): boolean {
  return !/ 4\d{4} $/.test(line);
}
