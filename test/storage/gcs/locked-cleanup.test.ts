import { afterAll, beforeAll, expect, it } from "vitest";
import { agedSite } from "../../operations/cleanup/aged-site.ts";
import { type FakeGcs, startFakeGcs } from "../../servers/gcs/server.ts";

const ONCE = { force: false, lockWaitMs: 0 };
const BUCKET = "locked-backups";

let service: FakeGcs;
beforeAll(async () => {
  service = await startFakeGcs();
  service.addBucket(BUCKET);
});
afterAll(() => service.stop());

it("cleanup leaves a backup that is retained, with what it builds on, says until when, and removes it when that is over", async () => {
  const { endpoint } = service;
  const offsite = { type: "gcs", role: "replica", bucket: BUCKET, endpoint, credentials: service.keyOf("writer") };
  const { site, made } = await agedSite({ remotes: { offsite } });
  const full = await made(60);
  const child = await made(59, { mode: "incremental" });
  await made(1);
  const retain = async (id: string, until: Date): Promise<void> => {
    const { location } = await site.operations.show(id);
    service.retainObject(BUCKET, `${location.slice(location.indexOf(":") + 1)}/metadata.json`, until);
  };
  const until = new Date(Date.now() + 3_600_000);
  await retain(child, until);
  // Its own time is over: it stays for what builds on it.
  await retain(full, new Date(Date.now() - 1));

  const locked = await site.operations.cleanup(ONCE);
  await retain(child, new Date(Date.now() - 1));
  const over = await site.operations.cleanup(ONCE);

  expect(locked.storages[1]).toMatchObject({ name: "offsite", removed: [], failure: undefined });
  expect(locked.storages[1]).toMatchObject({ notRemoved: [], locked: [{ backupId: child, until }] });
  expect(over.storages[1]).toMatchObject({ removed: [child, full], notRemoved: [] });
});

it("a dry run says where it can't ask what is locked, and waits for nobody", async () => {
  const away = await startFakeGcs();
  away.addBucket(BUCKET);
  const { endpoint } = away;
  const offsite = { type: "gcs", role: "replica", bucket: BUCKET, endpoint, credentials: away.keyOf("writer") };
  const { site, made } = await agedSite({ remotes: { offsite } });
  await made(60);
  await made(1);
  await away.stop();

  const { storages } = await (await site.reopen()).planCleanup();

  expect(storages).toMatchObject([{ unasked: undefined }, { name: "offsite", unasked: { code: "STORAGE_FAILED" } }]);
});
