import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { NOTHING_ASKED } from "../operations/restore/tools.ts";
import { createNext, expectNoLeavings, expectWholeBackups, nextRun } from "./after-the-kill.ts";
import { filesBelow, type KillSite, makeKillSite, writeDatabase } from "./killed-program.ts";

/** Where a restore goes, what is there before it, and what may be there after a kill beside the old and the new state. */
const CASES = [
  { what: "a tree to a new place", source: "www", to: "new", before: () => undefined, mixes: false },
  { what: "a tree over another", source: "www", to: "tree", before: oldTree, mixes: true },
  { what: "a database to a new place", source: "app", to: "new.db", before: () => undefined, mixes: false },
  { what: "a database over another", source: "app", to: "app.db", before: oldDatabase, mixes: false },
  { what: "a stream over another", source: "export", to: "export", before: oldStream, mixes: false },
];

function oldTree(target: string): void {
  const www = path.join(target, "tree", path.dirname(target), "www");
  fs.mkdirSync(path.join(www, "uploads"), { recursive: true });
  fs.writeFileSync(path.join(www, "index.html"), "old");
  fs.writeFileSync(path.join(www, "uploads/large"), "old as well");
  fs.writeFileSync(path.join(www, "kept"), "not in the backup");
}

function oldDatabase(target: string): void {
  writeDatabase(path.join(target, "app.db"), "another");
}

function oldStream(target: string): void {
  fs.writeFileSync(path.join(target, "export"), "another");
}

describe("a restore that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const target = path.join(directory, "target");
  let site: KillSite;
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await nextRun(site, (operations) => createNext(operations, "full"));
  });

  it.each(CASES)(
    "of $what leaves the old or the new, and the next one finishes",
    async ({ source, to, before, mixes }) => {
      fs.rmSync(target, { recursive: true });
      fs.mkdirSync(target);
      before(target);
      site.keep();
      const command = ["restore", "latest", "--source", source, "--to", path.join(target, to), "--overwrite", "--yes"];
      const old = filesBelow(target);
      const kills = await site.kills(command);
      const restored = filesBelow(target);
      expect(restored).not.toEqual(old);

      for (const kill of kills) {
        await kill.run();
        await said(kill.what, async () => {
          const now = filesBelow(target).filter((line) => !isBeside(line));
          // Each file is the old or the new one; folders get their modes last.
          if (mixes) expect([...old, ...restored]).toEqual(expect.arrayContaining(now.filter(isNoFolder)));
          else expect([old, restored]).toContainEqual(now);
          await nextRun(site, async (operations) => {
            const overwrite = { ...NOTHING_ASKED, reference: "latest", sources: [source], overwrite: true };
            const request = { ...overwrite, to: path.join(target, to) };
            await operations.restore(request, await operations.planRestore(request));
            await expectWholeBackups(operations);
          });
          expect(filesBelow(target)).toEqual(restored);
          await expectNoLeavings(site);
        });
      }
    },
  );
});

/** What a restore writes has such a name until it is whole. */
function isBeside(line: string): boolean {
  return /(^|\/)\.[^/ ]*(backupctl|restore)-[0-9a-f]+/.test(line);
}

function isNoFolder(line: string): boolean {
  return !/ 4\d{4} $/.test(line);
}
