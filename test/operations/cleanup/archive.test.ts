import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import type { BackupId } from "../../../src/domain/backup.ts";
import type { CleanupRequest, Operations } from "../../../src/operations/operations.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { withStorages } from "../../helpers/open-site.ts";
import { agedSite } from "./aged-site.ts";

const FULLY = { deep: false, quick: false, components: [] };
const ONCE: CleanupRequest = { force: false, lockWaitMs: 0 };

async function copiesOf(operations: Operations, id: string): Promise<readonly string[]> {
  return (await operations.show(id)).copies.map(({ storage, state }) => `${storage} ${state}`);
}

async function archiveSite() {
  const { site, made } = await agedSite({ storages: { vault: "archive" } });
  const monthly = await made(60, { retentionClass: "monthly", retentionDays: 14 });
  const daily = await made(58);
  const newest = await made(1);
  return { site, monthly, daily, newest };
}

it("moves a month whose time is over to the archive, whole and verified, before it goes", async () => {
  const { site, monthly, daily, newest } = await archiveSite();

  const plan = await site.operations.planCleanup();
  const { archived, storages } = await site.operations.cleanup(ONCE);

  expect(plan.storages[0]?.verdicts.map(({ reasons }) => reasons.map(({ kind }) => kind))).toEqual([
    ["date", "last-good"],
    ["expired"],
    ["expired", "archive"],
  ]);
  expect(archived).toEqual([{ backupId: monthly, to: "vault" }]);
  expect(storages).toMatchObject([{ removed: [daily, monthly] }, { removed: [] }]);
  expect(await copiesOf(site.operations, monthly)).toEqual(["vault complete"]);
  expect(await copiesOf(site.operations, newest)).toEqual(["local complete"]);
  // It was verified in the archive only, as the last of all: no reason to bring it back.
  expect(await site.operations.listStorages()).toMatchObject([{ lag: { backups: 0 } }, { lag: { backups: 0 } }]);
  await site.operations.replicate({ to: [], dryRun: false, lockWaitMs: 0 });
  expect(await copiesOf(site.operations, monthly)).toEqual(["vault complete"]);
  const all = { all: true, deep: true, quick: false, components: [] };
  expect((await site.operations.verify(all)).passed).toBe(true);
  expect(await site.operations.cleanup(ONCE)).toMatchObject({
    archived: [],
    storages: [{ removed: [] }, { removed: [] }],
  });
});

it("keeps it where it is while the archive is away", async () => {
  const { site, monthly, daily } = await archiveSite();
  const vault = join(site.directory, "vault");
  renameSync(vault, `${vault}-away`);

  const away = await (await site.reopen()).cleanup(ONCE);
  renameSync(`${vault}-away`, vault);
  const back = await (await site.reopen()).cleanup(ONCE);

  expect(away).toMatchObject({
    archived: [],
    storages: [
      {
        removed: [daily],
        notRemoved: [{ backupId: monthly, error: { message: expect.stringContaining('archive "vault"') } }],
      },
      // It may lie in a drawer.
      { name: "vault", leftOut: true, removed: [], failure: undefined },
    ],
  });
  expect(back).toMatchObject({ archived: [{ backupId: monthly }], storages: [{ removed: [monthly] }, {}] });
});

it("asks an archive that is away once for all that was to move there", async () => {
  const { site, made } = await agedSite({ storages: { vault: "archive" } });
  const months = [
    await made(90, { retentionClass: "monthly", retentionDays: 14 }),
    await made(60, { retentionClass: "monthly", retentionDays: 14 }),
  ];
  await made(1);
  const vault = join(site.directory, "vault");
  renameSync(vault, `${vault}-away`);

  const { storages } = await (await site.reopen()).cleanup(ONCE);

  const [local] = storages;
  expect(local?.removed).toEqual([]);
  expect(local?.notRemoved.map(({ backupId }) => backupId).sort()).toEqual([...months].sort());
  const [first, second] = local?.notRemoved ?? [];
  expect(first?.error.message).toContain('what was to move to archive "vault" stays where it is');
  expect(second?.error).toEqual(first?.error);
});

it("says of what is damaged how it is mended, and remembers the damage", async () => {
  const { site, monthly } = await archiveSite();
  const { copies, location } = await site.operations.show(monthly);
  expect(copies).toHaveLength(1);
  const file = join(site.repositoryDirectory, location.split(":")[1] ?? "", "www.tree.zst.enc.00000000");
  writeFileSync(file, readFileSync(file).fill(0, 40, 44));

  const { storages } = await site.operations.cleanup(ONCE);

  expect(storages[0]?.notRemoved).toMatchObject([
    { backupId: monthly, error: { hint: expect.stringContaining(`verify ${monthly} --repair`) } },
  ]);
  expect(await copiesOf(site.operations, monthly)).toContain("local damaged");
});

it("keeps it where it is when what came to the archive can't be read there", async () => {
  const { site, monthly } = await archiveSite();
  const operations = await withStorages(site, (storage) => {
    if (storage.name !== "vault") return storage;
    const faulty = faultyStorage(storage);
    faulty.onKey("get", /www\.tree\.zst\.enc\.0/).corrupt((bytes) => Buffer.from(bytes).fill(0, 100, 110));
    return faulty;
  });

  const { archived, storages } = await operations.cleanup(ONCE);

  expect(archived).toEqual([]);
  expect(storages[0]?.notRemoved.map(({ backupId }) => backupId)).toEqual([monthly]);
  expect(await copiesOf(operations, monthly)).toContain("local complete");
});

it("reads what had come to the archive otherwise, or before a kill, before it goes elsewhere", async () => {
  const { site, monthly, newest } = await archiveSite();
  await site.operations.replicate({ to: ["vault"], dryRun: false, lockWaitMs: 0 });
  const { location } = await site.operations.show(monthly);
  const pack = join(site.directory, "vault", location.slice("local:".length), "www.tree.zst.enc.00000000");
  const bytes = readFileSync(pack);
  writeFileSync(pack, Buffer.from(bytes).fill(0, 100, 110));

  const damaged = await site.operations.cleanup(ONCE);
  writeFileSync(pack, bytes);
  await site.operations.verify({ reference: monthly, all: false, ...FULLY, storage: "vault" });
  // Else the other one stays as the last that was verified.
  await site.operations.verify({ reference: newest, all: false, ...FULLY });
  const sound = await site.operations.cleanup(ONCE);

  expect(damaged).toMatchObject({ archived: [], storages: [{ notRemoved: [{ backupId: monthly }] }, {}] });
  expect(sound).toMatchObject({ archived: [{ backupId: monthly }], storages: [{ removed: [monthly] }, {}] });
});

it("copies again what the archive has lost", async () => {
  const { site, monthly } = await archiveSite();
  await site.operations.replicate({ to: ["vault"], dryRun: false, lockWaitMs: 0 });
  const { location } = await site.operations.show(monthly);
  const catalog = await site.context.catalog("write");
  const told = { at: "2026-01-01T00:00:00.000Z", user: "tester", status: "completed", detail: { storage: "vault" } };
  catalog.addEvent({ ...told, action: "backup:archive", backupId: monthly as BackupId });
  rmSync(join(site.directory, "vault", location.slice("local:".length)), { recursive: true });

  const { archived } = await site.operations.cleanup(ONCE);

  expect(archived).toEqual([{ backupId: monthly, to: "vault" }]);
  expect((await site.operations.verify({ all: true, ...FULLY })).passed).toBe(true);
});
