import * as fs from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { expect, it } from "vitest";
import type { Engine } from "../../../src/engines/engine.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { canMount, mountOn } from "../../helpers/mounted-file.ts";
import { createOne, type OpenSite, openSite, withEngine } from "../../helpers/open-site.ts";
import { writeDatabase } from "../../kill/killed-program.ts";
import { damageData, restore } from "./tools.ts";

const SOURCES = `  one: {engine: sqlite, path: "{dir}/one.db"}
  two: {engine: sqlite, path: "{dir}/two.db"}`;

/** A site whose databases are backed up. */
async function databases(): Promise<OpenSite> {
  const site = await openSite({ sources: SOURCES });
  for (const name of ["one", "two"]) writeDatabase(join(site.directory, `${name}.db`), name);
  await createOne(site);
  return site;
}

/** How far each source of unfinished restores is, as the next run would read it if this one died now. */
async function stagesIn(site: OpenSite): Promise<readonly string[]> {
  const restores = (await site.context.catalog("read")).unfinishedRestores();
  return restores.flatMap(({ places }) => places.map(({ source, stage }) => `${source} ${stage}`));
}

it("is as far as it may be, before and after what each source does to its place", async () => {
  const site = await databases();
  const seen: (readonly string[])[] = [];
  const operations = await withEngine(site, "sqlite", {
    engine: (engine): Engine => ({
      ...engine,
      restore: async (request, context) => {
        seen.push(await stagesIn(site));
        const outcome = await engine.restore?.(request, context);
        seen.push(await stagesIn(site));
        if (outcome === undefined) throw new Error("it restores nothing");
        return outcome;
      },
    }),
  });

  await restore(operations, { latest: true, overwrite: true });

  expect(seen).toEqual([
    ["one beside", "two beside"],
    ["one coming", "two beside"],
    ["one come", "two beside"],
    ["one come", "two coming"],
  ]);
  expect(await stagesIn(site)).toEqual([]);
});

/** Operations in which a restore of the database `two` fails. */
function failingTwo(site: OpenSite): ReturnType<typeof withEngine> {
  return withEngine(site, "sqlite", {
    engine: (engine): Engine => ({
      ...engine,
      restore: async (request, context) => {
        if (context.sourceName === "two") throw new BackupctlError("RESTORE_FAILED", "no such luck");
        if (engine.restore === undefined) throw new Error("it restores nothing");
        return engine.restore(request, context);
      },
    }),
  });
}

it("in place that failed half-way is told by the next backup, which says it for good", async () => {
  const site = await databases();
  const result = await restore(await failingTwo(site), { latest: true, overwrite: true });
  expect(result.sources.map(({ status }) => status)).toEqual(["completed", "failed"]);
  const stages = await stagesIn(site);
  site.warnings.splice(0);

  const { id } = await createOne(site);
  const said = site.warnings.splice(0);
  await createOne(site);

  const found = "one is the backup's, two is as it was";
  expect(stages).toEqual(["one come", "two beside"]);
  expect(said).toEqual([expect.stringMatching(new RegExp(`^a restore of one, two .* failed, and .*: ${found}`))]);
  expect((await site.operations.show(id)).metadata?.warnings).toContainEqual(expect.stringContaining(found));
  expect(site.warnings).toEqual([]);
});

it("that fails again in the same place is told once, and not at all after one that succeeds", async () => {
  const site = await databases();
  const failing = await failingTwo(site);
  const asked = { latest: true, overwrite: true };

  await restore(failing, asked);
  await restore(failing, asked);
  const stages = await stagesIn(site);
  await restore(site.operations, asked);

  expect(stages).toEqual(["one come", "two beside"]);
  expect(await stagesIn(site)).toEqual([]);
});

it("that failed elsewhere, or before it touched a place, is no matter of the next run's", async () => {
  const site = await databases();
  const failing = await failingTwo(site);
  await restore(failing, { latest: true, to: join(site.directory, "look") });
  damageData(site.directory, "two");

  await expect(restore(site.operations, { latest: true, overwrite: true })).rejects.toThrow(/two/);

  expect(await stagesIn(site)).toEqual([]);
});

/** Restores `two` in place, which fails, and gives what the next backup says of it. */
async function saidOfFailed(site: OpenSite): Promise<readonly string[]> {
  const asked = { latest: true, sources: ["two"], overwrite: true };
  await expect(restore(site.operations, asked)).rejects.toMatchObject({ code: "RESTORE_FAILED" });
  site.warnings.splice(0);
  await createOne(site, { sources: ["one"] });
  return site.warnings.splice(0);
}

it("in place of a database that is in use is no matter of the next run's: that is as it was", async () => {
  const site = await databases();
  const application = new Sqlite(join(site.directory, "two.db"));
  application.exec("begin exclusive");

  expect(await saidOfFailed(site)).toEqual([]);

  application.exec("rollback");
  application.close();
});

it.runIf(canMount)("in place of a database that can't be swapped is no matter of the next run's, either", async () => {
  const site = await databases();
  mountOn(join(site.directory, "two.db"));

  expect(await saidOfFailed(site)).toEqual([]);
});

it.runIf(canMount)("in place of a damaged database whose journal was put aside is told", async () => {
  const site = await databases();
  const file = join(site.directory, "two.db");
  mountOn(file, "damaged");
  fs.writeFileSync(`${file}-journal`, "of another");

  expect(await saidOfFailed(site)).toEqual([
    expect.stringContaining("two may hold some of the backup and some of what was there"),
  ]);
});
