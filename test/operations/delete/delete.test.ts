import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import { DELETED_NAME } from "../../../src/domain/object-names.ts";
import { BackupctlError } from "../../../src/errors.ts";
import type { DeleteRequest, DeleteResult, Operations } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import {
  addFile,
  createOne,
  OTHER_REPOSITORY,
  objectsIn,
  openSite,
  swapRepository,
  withFaults,
  withStorages,
} from "../../helpers/open-site.ts";

function request(reference: string, changes: Partial<DeleteRequest> = {}): DeleteRequest {
  return { reference, withDescendants: false, force: true, reason: "test", lockWaitMs: 0, ...changes };
}

/** Plans and deletes, as the command does after a yes. */
async function remove(operations: Operations, asked: DeleteRequest): Promise<DeleteResult> {
  return operations.delete(asked, await operations.planDelete(asked));
}

describe("delete", () => {
  it("removes every object, the row and the local index, and keeps the event", async () => {
    const site = await openSite();
    const old = await createOne(site);
    const kept = await createOne(site);
    const state = await statePaths(site.session);

    const result = await remove(site.operations, request(old.id, { reason: "no longer needed" }));

    expect(result.deleted).toEqual([old.id]);
    expect(result.bytesFreed).toBeGreaterThan(3_000_000);
    expect(objectsIn(site).some((key) => key.includes(old.id.slice(0, 8)))).toBe(false);
    expect(objectsIn(site).some((key) => key.includes(kept.id.slice(0, 8)))).toBe(true);
    expect(existsSync(join(state.indexes, old.id))).toBe(false);
    await expect(site.operations.show(old.id)).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
    const catalog = await site.context.catalog("read");
    expect(catalog.events({ backupId: old.id })[0]).toMatchObject({
      action: "backup:delete",
      user: "tester",
      detail: { reason: "no longer needed", forced: true },
    });
  });

  it("passes by a storage that was never initialised, where no copy can be", async () => {
    const site = await openSite({ replica: true });
    rmSync(join(site.directory, "replica/backupctl.json"));
    const old = await createOne(site, { storages: ["local"] });

    expect((await remove(site.operations, request(old.id))).deleted).toEqual([old.id]);
  });

  it.each([
    ["refuses each removal, as S3 does", /./],
    ["refuses to remove what is there, as SFTP does", /\/(?!deleted)[^/]*$/],
  ])("changes nothing where one storage's login may not delete (it %s)", async (_, keys) => {
    const site = await openSite({ replica: true });
    const old = await createOne(site);
    const before = objectsIn(site);
    const denied = new BackupctlError("STORAGE_DENIED", 'storage "second" cannot remove it: AccessDenied');
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "second") storage.onKey("remove", keys).fail(denied);
    });

    await expect(remove(operations, request(old.id))).rejects.toMatchObject({
      code: "STORAGE_DENIED",
      message: 'nothing is deleted: this login may not delete in storage "second": it cannot remove it: AccessDenied',
      hint: expect.stringContaining("right to delete"),
    });

    expect(await site.operations.show(old.id)).toMatchObject({
      status: "completed",
      copies: [{ state: "complete" }, { state: "complete" }],
    });
    expect(objectsIn(site)).toEqual(before);
    const replica = (await site.backupDirectory()).replace(site.repositoryDirectory, join(site.directory, "replica"));
    expect(readdirSync(replica)).toContain("metadata.json");
    expect(readdirSync(replica)).not.toContain(DELETED_NAME);
    expect((await remove(site.operations, request(old.id))).deleted).toEqual([old.id]);
    expect(existsSync(join(site.directory, "replica/full"))).toBe(false);
  });

  it.each([
    ["the service keeps for a time what is new", "remove", "RETENTION_POLICY_VIOLATION"],
    ["a full disk takes no object to try it with", "put", "INSUFFICIENT_STORAGE"],
  ] as const)("is not refused where %s", async (_, operation, code) => {
    const site = await openSite();
    const old = await createOne(site);
    const operations = await withFaults(site, (storage) => {
      storage.onCall(operation, 1).fail(new BackupctlError(code, "not now"));
    });

    expect((await remove(operations, request(old.id))).deleted).toEqual([old.id]);
    expect(objectsIn(site)).toEqual([]);
  });

  it("deletes what was agreed to, not what latest means by then", async () => {
    const site = await openSite();
    await createOne(site);
    const agreed = await createOne(site);
    const latest = request("latest");
    const plan = await site.operations.planDelete(latest);
    const newer = await createOne(site);

    expect((await site.operations.delete(latest, plan)).deleted).toEqual([agreed.id]);
    await expect(site.operations.delete(latest, plan)).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
    expect((await site.operations.show("latest")).id).toBe(newer.id);
  });

  it("deletes no descendant that nobody was shown", async () => {
    const site = await openSite();
    const full = await createOne(site);
    const all = request(full.id, { withDescendants: true });
    const plan = await site.operations.planDelete(all);
    addFile(site);
    const child = await createOne(site, { mode: "incremental" });

    await expect(site.operations.delete(all, plan)).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      message: expect.stringContaining(child.id),
    });
    expect((await site.operations.list({ limit: 5, offset: 0 })).total).toBe(2);
  });

  it("is refused by retention and for the last good backup, unless forced with a reason", async () => {
    const site = await openSite();
    const backup = await createOne(site);

    const plan = await site.operations.planDelete(request(backup.id, { force: false }));

    expect(plan.protections.map(({ kind }) => kind)).toEqual(["retention", "last-good"]);
    expect(plan.bytesFreed).toBeGreaterThan(0);
    await expect(remove(site.operations, request(backup.id, { force: false }))).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      exitCode: 14,
    });
    await expect(remove(site.operations, request(backup.id, { reason: " " }))).rejects.toMatchObject({ code: "USAGE" });
    expect(
      await site.operations.verify({ reference: backup.id, all: false, deep: false, quick: true, components: [] }),
    ).toMatchObject({ passed: true });
  });

  it("never removes what another backup needs, forced or not, but all of them with descendants, newest first", async () => {
    const site = await openSite();
    const full = await createOne(site);
    addFile(site);
    const child = await createOne(site, { mode: "incremental" });
    addFile(site);
    const grandchild = await createOne(site, { mode: "incremental" });

    await expect(remove(site.operations, request(full.id))).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
    });
    const result = await remove(site.operations, request(full.id, { withDescendants: true }));

    expect(result.deleted).toEqual([grandchild.id, child.id, full.id]);
    expect(objectsIn(site)).toEqual([]);
  });

  it("is refused while a backup is being made", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    let refused: unknown;

    await createOne(site, {
      onPlan: () => {
        refused = remove(site.operations, request(backup.id)).catch((error: unknown) => error);
      },
    });

    expect(await refused).toMatchObject({ code: "BACKUP_IN_PROGRESS" });
  });

  it.each([
    ["the marks are there", /deleted\.json$/, "failAfterVisible", "put"],
    ["metadata.json is gone", /metadata\.json$/, "failAfterVisible", "remove"],
    ["some objects are gone", /SHA256SUMS$/, "fail", "remove"],
    ["only the mark is left", /deleted\.json$/, "fail", "remove"],
  ] as const)("goes on after it ended when %s", async (_, key, fault, operation) => {
    const site = await openSite();
    const backup = await createOne(site);
    let armed = operation !== "remove" || !key.test(DELETED_NAME);
    const broken = await withFaults(site, (storage) => {
      // The mark is removed once before it is put; the second time is the end.
      if (armed) storage.onKey(operation, key)[fault](new Error("killed"));
      else
        storage.onKey("remove", /metadata\.json$/).meanwhile(() => {
          if (!armed) storage.onKey(operation, key)[fault](new Error("killed"));
          armed = true;
        });
    });
    await expect(remove(broken, request(backup.id))).rejects.toThrow("killed");

    const again = await site.reopen();
    expect(await again.show(backup.id)).toMatchObject({ status: "deleting" });
    // Without force: what policy said, it said before the first object went.
    await remove(again, request(backup.id, { force: false }));

    expect(objectsIn(site)).toEqual([]);
    await expect(again.show(backup.id)).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("keeps all when another host's backup that builds on it appears meanwhile", async () => {
    const site = await openSite();
    const full = await createOne(site);
    const child = await createOne(site, { mode: "incremental" });
    // Another host made it: this catalog has not heard of it.
    (await site.context.catalog("write")).remove(child.id);

    await expect(remove(site.operations, request(full.id))).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      message: expect.stringContaining(child.id),
    });

    expect(objectsIn(site).some((key) => key.endsWith(DELETED_NAME))).toBe(false);
    expect(await site.operations.show(full.id)).toMatchObject({ status: "completed" });
  });

  it("keeps all when a hold is put on it meanwhile", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const other = await site.reopen();
    const request_ = request(backup.id, { force: false, reason: undefined });
    await other.hold(backup.id, "audit");
    // This catalog has not heard of it, and the retention is over.
    const catalog = await site.context.catalog("write");
    catalog.setNotes(backup.id, { retention_until: "2020-01-01T00:00:00.000Z" });
    await createOne(site);

    await expect(remove(site.operations, request_)).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      message: expect.stringContaining("audit"),
    });
    expect(objectsIn(site).some((key) => key.endsWith(DELETED_NAME))).toBe(false);
  });

  it.each([
    ["takes its marks back where the service holds an object", /metadata\.json$/, "completed", 0],
    ["says so where not even its mark can be taken back", /(metadata|deleted)\.json$/, "deleting", 1],
  ])("%s, of which no storage tells before", async (_, held, status, marks) => {
    const site = await openSite();
    const backup = await createOne(site);
    const kept = new BackupctlError("RETENTION_POLICY_VIOLATION", "it is under a legal hold");
    let isMarked = false;
    const operations = await withStorages(site, (storage) =>
      changed(storage, {
        remove: async (key) => {
          if (isMarked && held.test(key)) throw kept;
          await storage.remove(key);
        },
        put: (key, bytes) => {
          isMarked ||= key.endsWith(DELETED_NAME);
          return storage.put(key, bytes);
        },
      }),
    );

    await expect(remove(operations, request(backup.id))).rejects.toMatchObject({ message: kept.message });

    expect(await operations.show(backup.id)).toMatchObject({ status });
    expect(objectsIn(site).filter((key) => key.endsWith(DELETED_NAME))).toHaveLength(marks);
    expect(site.warnings.filter((text) => text.includes("it stays marked as being deleted"))).toHaveLength(marks);
  });

  it("keeps nothing for what is damaged beside it, and removes what is damaged itself", async () => {
    const site = await openSite();
    const first = await createOne(site);
    const damaged = await site.backupDirectory();
    await createOne(site);
    const strange = join(damaged, "../full-00-00-00-11111111");
    mkdirSync(strange);
    for (const directory of [damaged, strange]) writeFileSync(join(directory, "metadata.json"), "{");
    const catalog = await site.context.catalog("write");
    catalog.setNotes(first.id, { retention_until: "2020-01-01T00:00:00.000Z" });

    await remove(site.operations, request(first.id, { force: false, reason: undefined }));

    expect(existsSync(damaged)).toBe(false);
    expect(existsSync(strange)).toBe(true);
    expect(site.warnings.join("\n")).toContain("it restores nothing, so it keeps nothing");
  });

  it("removes a run that died, with what it left", async () => {
    const site = await openSite();
    await createOne(site);
    const id = "0a0a0a0a-0000-4000-8000-000000000001";
    const storagePath = "full/daily/2026-01-11/full-02-00-00-0a0a0a0a";
    mkdirSync(join(site.repositoryDirectory, storagePath), { recursive: true });
    writeFileSync(join(site.repositoryDirectory, storagePath, "www.tree.zst.enc.00000000"), "left");
    const catalog = await site.context.catalog("write");
    const { file } = { file: (await statePaths(site.session)).catalog };
    expect(existsSync(file)).toBe(true);
    catalog.begin({
      ...{ id: id as never, type: "full", mode: "full", category: "daily", timestamp: "2026-01-11T02:00:00.000Z" },
      ...{
        host: "test-host",
        createdBy: "tester",
        storagePath,
        parentId: undefined,
        pid: 1,
        tags: [],
        description: undefined,
      },
    });

    await remove(site.operations, request(id, { force: false }));

    expect(existsSync(join(site.repositoryDirectory, storagePath))).toBe(false);
    await expect(site.operations.show(id)).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("does not take a whole backup, whose run was killed before the catalog knew, for a failed one", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const { metadata } = await site.operations.show(id);
    if (metadata === undefined) throw new Error("it has no metadata");
    const { type, mode, category, timestamp, host, created_by, storage_path } = metadata;
    const catalog = await site.context.catalog("write");
    catalog.remove(metadata.id);
    catalog.begin({
      ...{ id: metadata.id, type, mode, category, timestamp, host, createdBy: created_by, storagePath: storage_path },
      ...{ parentId: undefined, pid: 1, tags: [], description: undefined },
    });
    const before = objectsIn(site);

    await expect(remove(site.operations, request(id, { force: false }))).rejects.toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
    });

    expect(objectsIn(site)).toEqual(before);
    expect((await site.operations.show(id)).status).toBe("completed");
  });

  it("leaves a copy nowhere unseen: a storage that lost its marker is not one that was never initialised", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    const before = objectsIn(site);
    rmSync(join(site.directory, "replica/backupctl.json"));

    await expect(remove(await site.reopen(), request(id))).rejects.toMatchObject({
      code: "REPOSITORY_NOT_INITIALIZED",
      message: expect.stringContaining('"second" has lost its marker'),
    });

    expect(objectsIn(site)).toEqual(before);
    const operations = await site.reopen();
    await operations.init({ configPath: undefined, storagePath: undefined });
    await remove(operations, request(id));
    expect(existsSync(join(site.directory, "replica/full"))).toBe(false);
    expect(objectsIn(site)).toEqual([]);
  });

  it("is refused, and its plan alike, while the primary storage holds another repository", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    const plan = await site.operations.planDelete(request(backup.id));
    swapRepository(site.repositoryDirectory);
    const swapped = await site.reopen();
    const mismatch = { code: "REPOSITORY_MISMATCH", message: expect.stringContaining(OTHER_REPOSITORY) };

    await expect(swapped.planDelete(request(backup.id))).rejects.toMatchObject(mismatch);
    await expect(swapped.delete(request(backup.id), plan)).rejects.toMatchObject(mismatch);
    expect((await (await site.reopen()).show("latest")).id).toBe(backup.id);
  });

  it("changes nothing when planned", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const before = objectsIn(site);

    await site.operations.planDelete(request(backup.id));

    expect(objectsIn(site)).toEqual(before);
    const catalog = openSqliteCatalog({
      file: (await statePaths(site.session)).catalog,
      readOnly: true,
      warn: () => undefined,
    });
    expect(catalog.list({}).backups[0]?.status).toBe("completed");
    catalog.close();
    expect(readdirSync(site.repositoryDirectory)).toContain("full");
  });
});
