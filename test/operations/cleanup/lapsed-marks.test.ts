import { existsSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { addFile, createOne, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const CLEANUP = { force: false, lockWaitMs: 0 };
const HOUR_MS = 3_600_000;

/** A backup that a deletion has marked which died then, `hoursAgo` by the storage's clock; this host's clock may be ahead. */
async function markedSite(hoursAgo: number, aheadMs = 0) {
  let ahead = 0;
  const clock = { now: () => new Date(Date.now() + ahead), monotonicMs: () => performance.now() };
  const site = await openSite({ replica: true, clock });
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  const mark = join(directory, "deleted.json");
  writeFileSync(mark, "{}");
  const marked = Date.now() / 1000 - hoursAgo * 3600;
  utimesSync(mark, marked, marked);
  ahead = aheadMs;
  return { site, id, mark, directory };
}

it("cleanup takes the mark of a deletion that died from what stays, once it has lapsed, and says so", async () => {
  const { site, id, mark, directory } = await markedSite(25);
  await site.operations.rebuildCatalog();

  await site.operations.cleanup(CLEANUP);

  expect(existsSync(mark)).toBe(false);
  expect(existsSync(join(directory, "trial"))).toBe(false);
  expect(site.warnings).toContain(
    `the deletion of backup ${id} in storage "local" was never gone on with: the backup stays`,
  );
  const { copies } = await site.operations.show(id);
  expect(copies.map(({ storage, state }) => `${storage} ${state}`)).toEqual(["local complete", "second complete"]);
  expect((await site.context.catalog("read")).events({ limit: 1 })).toMatchObject([
    { action: "deletion:lapse", backupId: id, detail: { storage: "local" } },
  ]);
  addFile(site);
  expect(await createOne(site, { mode: "incremental" })).toMatchObject({ mode: "incremental", parentId: id });
});

it.each([
  ["is young", 23, 0],
  ["is young by the storage's clock, this host's being ahead", 1, 30 * HOUR_MS],
])("cleanup leaves a mark that %s", async (_, hoursAgo, aheadMs) => {
  const { site, mark, directory } = await markedSite(hoursAgo, aheadMs);

  await site.operations.cleanup(CLEANUP);

  expect(existsSync(mark)).toBe(true);
  expect(existsSync(join(directory, "trial"))).toBe(false);
  expect(site.warnings).toEqual([]);
});

it("cleanup goes on where a storage does not let go of a mark that has lapsed, and says so", async () => {
  const { site } = await markedSite(25);
  const operations = await withFaults(site, (storage) => {
    storage.onKey("remove", /deleted\.json/).fail(new BackupctlError("STORAGE_DENIED", "it permits no delete"));
  });

  const { storages } = await operations.cleanup(CLEANUP);

  expect(storages.map(({ failure }) => failure)).toEqual([undefined, undefined]);
  expect(site.warnings).toEqual([
    expect.stringMatching(/\/deleted\.json, which has lapsed, stays in storage "local": it permits no delete$/),
  ]);
});

it("cleanup goes on after one that was killed while it looked what time the storage has", async () => {
  const { site, mark, directory } = await markedSite(25);
  const kept = join(directory, "trial");
  const killed = await withFaults(site, (storage) => {
    storage.onKey("remove", /\/trial$/).fail(new Error("killed"));
  });
  await expect(killed.cleanup(CLEANUP)).rejects.toThrow("killed");
  expect([existsSync(kept), existsSync(mark)]).toEqual([true, true]);

  await site.operations.cleanup(CLEANUP);

  expect([existsSync(kept), existsSync(mark)]).toEqual([false, false]);
});

it.each(["local", "second"])("cleanup removes what a run tried storage %s with that was killed", async (name) => {
  const site = await openSite({ replica: true });
  await createOne(site);
  const directory = await site.backupDirectory();
  const kept = join(
    name === "local" ? directory : directory.replace(site.repositoryDirectory, join(site.directory, "replica")),
    "trial",
  );
  writeFileSync(kept, "put by backupctl create");
  const refuses = await withFaults(site, (storage) => {
    storage.onKey("remove", /\/trial$/).fail(new BackupctlError("STORAGE_DENIED", "it permits no delete"));
  });

  await refuses.cleanup(CLEANUP);
  expect(site.warnings).toEqual([
    expect.stringMatching(new RegExp(`/trial, which nobody needs, stays in storage "${name}": it permits no delete$`)),
  ]);
  await site.operations.cleanup(CLEANUP);

  expect(existsSync(kept)).toBe(false);
});

it("cleanup says once of a storage where the login may not delete that they stay", async () => {
  const site = await openSite();
  const operations = await withFaults(site, (storage) => {
    storage.onCall("remove", "every").fail(new BackupctlError("STORAGE_DENIED", "it permits no delete"));
  });
  for (let i = 0; i < 3; i++) await operations.create(NO_CHOICES);

  await operations.cleanup(CLEANUP);

  expect(site.warnings).toEqual([
    expect.stringMatching(/\/trial and 2 more, which nobody needs, stay in storage "local": it permits no delete$/),
  ]);
});
