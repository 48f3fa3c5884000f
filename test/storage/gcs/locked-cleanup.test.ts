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

it("delete is refused, with nothing marked, as long as a backup is retained, and its plan says so", async () => {
  const { endpoint } = service;
  const offsite = {
    ...{ type: "gcs", role: "replica", bucket: BUCKET, prefix: "deleted", endpoint },
    credentials: service.keyOf("writer"),
  };
  const { site, made } = await agedSite({ remotes: { offsite } });
  const old = await made(60);
  await made(1);
  const { location } = await site.operations.show(old);
  const retain = (until: Date): void =>
    service.retainObject(BUCKET, `deleted/${location.slice(location.indexOf(":") + 1)}/metadata.json`, until);
  const request = { reference: old, withDescendants: false, ...ONCE, force: true, reason: "a test" };
  const free = await site.operations.planDelete(request);
  const until = new Date(Date.now() + 3_600_000);
  retain(until);

  const { protections, bytesFreed, locked } = await site.operations.planDelete(request);
  await expect(site.operations.delete(request, free)).rejects.toMatchObject({
    code: "RETENTION_POLICY_VIOLATION",
    message: `nothing is deleted: storage "offsite" has it locked until ${until.toISOString()}`,
  });
  const { status, copies } = await site.operations.show(old);
  retain(new Date(Date.now() - 1));
  const { deleted } = await site.operations.delete(request, free);

  expect(free).toMatchObject({ protections: [], locked: [], unasked: [] });
  expect(bytesFreed).toBe(free.bytesFreed);
  const text = `is locked in storage "offsite" until ${until.toISOString()}`;
  expect(protections).toEqual([{ kind: "locked", backupId: old, forcible: false, text }]);
  expect(locked).toEqual([]);
  expect(status).toBe("completed");
  expect(copies).toMatchObject([{ state: "complete" }, { state: "complete" }]);
  expect(deleted).toEqual([old]);
});

it("a dry run says where it can't ask what is locked, and waits for nobody", async () => {
  const away = await startFakeGcs();
  away.addBucket(BUCKET);
  const { endpoint } = away;
  const offsite = { type: "gcs", role: "replica", bucket: BUCKET, endpoint, credentials: away.keyOf("writer") };
  const more = "retention:\n  max_delete: 100%\nschedules:\n  often: {every: 1h}";
  const { site, made } = await agedSite({ remotes: { offsite }, more });
  await made(60);
  await made(1);
  await away.stop();

  const operations = await site.reopen();
  const { storages } = await operations.planCleanup();
  const { locksUnknown } = await operations.simulateCleanup(1);
  const { unasked } = await operations.planDelete({ reference: "latest", withDescendants: false, ...ONCE });

  expect(storages).toMatchObject([{ unasked: undefined }, { name: "offsite", unasked: { code: "STORAGE_FAILED" } }]);
  expect(locksUnknown).toEqual(["offsite"]);
  expect(unasked).toMatchObject([{ storage: "offsite", code: "STORAGE_FAILED" }]);
});
