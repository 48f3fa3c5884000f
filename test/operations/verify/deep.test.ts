import { expect, it } from "vitest";
import type { Engine, RestoreOutcome } from "../../../src/engines/engine.ts";
import { createOne, openSite, withEngine } from "../../helpers/open-site.ts";

/** What verify --deep says of a source whose engine restores in its own way. */
async function verifyDeep(engine: (engine: Engine) => Engine) {
  const site = await openSite({ sources: "  rows: {engine: command, command: [echo, row]}" });
  const { id } = await createOne(site);
  const operations = await withEngine(site, "command", { engine });
  const asked = { all: false, deep: true, quick: false, components: [] };
  return (await operations.verify({ ...asked, reference: id })).backups[0];
}

it("a source that restores to something else than its backup says is damaged", async () => {
  const checks = [{ name: "rows", passed: false, detail: "1 instead of 2" }];
  const restore = async (): Promise<RestoreOutcome> => ({ place: "there", checks, warnings: [] });

  const backup = await verifyDeep((engine) => ({ ...engine, restore }));

  expect(backup).toMatchObject({ passed: false, issues: ['source "rows", restored: rows: 1 instead of 2'] });
});

it("a source whose engine can't restore is not compared, and that is said", async () => {
  const backup = await verifyDeep(({ restore: _, ...engine }) => engine);

  expect(backup).toMatchObject({
    passed: false,
    issues: [expect.stringContaining("can't be restored by engine command")],
  });
});

it("a source that the configuration does not know is restored and compared all the same", async () => {
  const site = await openSite({ sources: "  rows: {engine: command, command: [echo, row]}" });
  const { id } = await createOne(site);
  const { loaded } = site.session;
  const bare = await site.reopen({ loaded: { ...loaded, config: { ...loaded.config, sources: [] } } });

  const { backups } = await bare.verify({ all: false, deep: true, quick: false, components: [], reference: id });

  expect(backups[0]).toMatchObject({ passed: true, issues: [] });
});
