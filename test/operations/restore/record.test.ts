import { join } from "node:path";
import { expect, it } from "vitest";
import type { Engine } from "../../../src/engines/engine.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { createOne, type OpenSite, openSite, withEngine } from "../../helpers/open-site.ts";
import { writeDatabase } from "../../kill/killed-program.ts";
import { restore } from "./tools.ts";

const SOURCES = `  one: {engine: sqlite, path: "{dir}/one.db"}
  two: {engine: sqlite, path: "{dir}/two.db"}`;

/** A site whose databases are backed up. */
async function databases(): Promise<OpenSite> {
  const site = await openSite({ sources: SOURCES });
  for (const name of ["one", "two"]) writeDatabase(join(site.directory, `${name}.db`), name);
  await createOne(site);
  return site;
}

/** How far each source of the restore under way is, as the next run would read it if this one died now. */
async function stagesIn(site: OpenSite): Promise<readonly string[]> {
  const [running] = (await site.context.catalog("read")).runningRestores();
  return running?.places.map(({ source, stage }) => `${source} ${stage}`) ?? [];
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

  const first = ["one coming", "two beside"];
  const second = ["one come", "two coming"];
  expect(seen).toEqual([first, first, second, second]);
  expect(await stagesIn(site)).toEqual([]);
});

it("does not say of a source that failed that it came or that nothing did", async () => {
  const site = await databases();
  const seen: (readonly string[])[] = [];
  const operations = await withEngine(site, "sqlite", {
    engine: (engine): Engine => ({
      ...engine,
      restore: async () => {
        seen.push(await stagesIn(site));
        throw new BackupctlError("RESTORE_FAILED", "no such luck");
      },
    }),
  });

  await expect(restore(operations, { latest: true, overwrite: true })).rejects.toThrow("no such luck");

  expect(seen.at(-1)).toEqual(["one coming", "two coming"]);
  expect(await stagesIn(site)).toEqual([]);
});
