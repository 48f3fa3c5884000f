import { readdirSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { noise } from "../helpers/bytes.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { createNext, expectNoLeavings, expectWholeBackups, nextRun } from "./after-the-kill.ts";
import { filesBelow, type KillSite, makeKillSite } from "./killed-program.ts";

const REPAIR = { all: true, deep: false, quick: false, components: [], repair: true } as const;

describe("a repair that is killed", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const folderOf = (storage: string) => path.join(directory, storage, "full");
  let site: KillSite;
  let whole: readonly string[];
  beforeAll(async () => {
    site = await makeKillSite(directory);
    await nextRun(site, async (operations) => {
      const { id } = await createNext(operations, "full");
      writeFileSync(path.join(directory, "www/new"), noise(300_000, 2));
      await createNext(operations);
      await operations.hold(id, "kept for the test");
    });
    whole = filesBelow(folderOf("repository"));
    // In each storage another half of what there is; of what proves the rest all in one, since a copy is proven by its own.
    for (const [i, name] of objectsBelow(folderOf("repository")).entries()) {
      const isProof = name.endsWith(".json");
      damage(path.join(folderOf(isProof || i % 2 === 0 ? "replica" : "repository"), name), i);
    }
    site.keep();
  });

  it("before any of its effects, or at any moment, has lost nothing, and the next one goes on", async () => {
    for (const kill of await site.kills(["verify", "--all", "--repair", "--storage", "second"])) {
      await kill.run();
      await said(kill.what, async () => {
        await nextRun(site, async (operations) => {
          for (const storage of ["second", "local"]) {
            const { backups } = await operations.verify({ ...REPAIR, storage });
            expect(backups.flatMap(({ issues }) => issues)).toEqual([]);
          }
          await expectWholeBackups(operations);
        });
        for (const storage of ["repository", "replica"])
          expect(whole.filter((line) => !objectsOf(storage).includes(line))).toEqual([]);
        await expectNoLeavings(site);
      });
    }
  });

  function objectsOf(storage: string): readonly string[] {
    return filesBelow(folderOf(storage));
  }
});

function objectsBelow(folder: string): readonly string[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
  return names.filter((name) => statSync(path.join(folder, name)).isFile());
}

/** Gone, cut, or changed in the middle. */
function damage(file: string, number: number): void {
  const { size } = statSync(file);
  if (number % 3 === 0) rmSync(file);
  else if (number % 3 === 1) truncateSync(file, Math.floor(size / 2));
  else {
    const bytes = readFileSync(file);
    rmSync(file);
    writeFileSync(file, bytes.fill(0, size >> 1, (size >> 1) + 8));
  }
}
