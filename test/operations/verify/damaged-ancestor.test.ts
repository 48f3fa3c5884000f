import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { CreateResult, Operations } from "../../../src/operations/operations.ts";
import { type ColdKeys, coldStorage } from "../../helpers/cold-storage.ts";
import { addFile, createOne, type OpenSite, objectsIn, openSite, withStorages } from "../../helpers/open-site.ts";
import { damageData, download, NOTHING_ASKED, restore } from "../restore/tools.ts";

const VERIFY = { all: false, deep: false, quick: false, components: [] } as const;

interface Chain {
  readonly site: OpenSite;
  readonly fullId: string;
  /** Where the full backup lies in the primary. */
  readonly full: string;
  /** Builds on it. */
  readonly childId: string;
}

async function chain(options: Parameters<typeof openSite>[0] = {}): Promise<Chain> {
  const site = await openSite(options);
  const { id: fullId } = await createOne(site);
  const full = await site.backupDirectory();
  addFile(site);
  const { id: childId } = await createOne(site, { mode: "incremental" });
  return { site, fullId, full, childId };
}

/** The plan of the backup that is made when an incremental is asked for. */
async function next(site: OpenSite): Promise<CreateResult["plan"]> {
  addFile(site);
  return (await site.create({ mode: "incremental" })).plan;
}

async function stateOf(operations: Operations, id: string, storage = "local"): Promise<string | undefined> {
  const { copies } = await operations.show(id);
  return copies.find((copy) => copy.storage === storage)?.state;
}

describe("an ancestor that is damaged", () => {
  it.each<[string, boolean, (full: string) => void]>([
    ["in a block", false, (full) => damageData(full, "www")],
    ["by a pack that is gone", true, (full) => rmSync(packIn(full))],
    ["in its metadata.json", false, (full) => spoil(join(full, "metadata.json"))],
  ])("%s is not built on after the verification of its descendant, until it passes", async (_, quick, damage) => {
    const { site, fullId, full, childId } = await chain();
    const whole = new Map(readdirSync(full).map((name) => [name, readFileSync(join(full, name))]));
    damage(full);
    expect((await site.operations.verify({ ...VERIFY, quick, reference: childId })).passed).toBe(false);
    expect(await stateOf(site.operations, fullId)).toBe("damaged");

    const made = await next(site);

    expect(made.mode).toBe("full");
    expect(made.modeReason).toBe(`${childId.slice(0, 8)} can't be built on: its last verification failed`);
    for (const [name, bytes] of whole) writeFileSync(join(full, name), bytes, { mode: 0o600 });
    expect((await site.operations.verify({ ...VERIFY, reference: fullId })).passed).toBe(true);
    expect(await stateOf(site.operations, fullId)).toBe("complete");
  });

  it("is known to be damaged where the catalog was made anew", async () => {
    const { site, full, childId } = await chain();
    damageData(full, "www");
    await site.operations.verify({ ...VERIFY, reference: childId });

    await site.operations.rebuildCatalog();

    expect((await next(site)).mode).toBe("full");
  });

  it("is built on again when it was mended with its descendant", async () => {
    const { site, fullId, full, childId } = await chain({ replica: true });
    damageData(full, "www");
    await site.operations.verify({ ...VERIFY, reference: childId, storage: "local" });
    expect(await stateOf(site.operations, fullId)).toBe("damaged");

    const { passed } = await site.operations.verify({ ...VERIFY, reference: childId, storage: "local", repair: true });

    expect(passed).toBe(true);
    expect(await stateOf(site.operations, fullId)).toBe("complete");
    expect((await next(site)).mode).toBe("incremental");
  });

  it("frees what rests on its damage alone when it is mended, and nothing else", async () => {
    const { site, fullId, full, childId } = await chain({ replica: true });
    addFile(site);
    const { id: otherId } = await createOne(site, { mode: "differential" });
    const other = await site.backupDirectory();
    damageData(full, "www");
    damageData(other, "www");
    const local = { ...VERIFY, storage: "local" };
    await site.operations.verify({ ...local, all: true });
    const states = () => Promise.all([fullId, childId, otherId].map((id) => stateOf(site.operations, id)));
    expect(await states()).toEqual(["damaged", "damaged", "damaged"]);

    const { passed, backups } = await site.operations.verify({ ...local, reference: fullId, repair: true });

    expect([passed, backups.length]).toEqual([true, 1]);
    expect(await states()).toEqual(["complete", "complete", "damaged"]);
  });

  it("leaves what builds on it as it was known where that is frozen, and asks for no thaw", async () => {
    const { site, fullId, full, childId } = await chain({ replica: true });
    const child = await site.backupDirectory();
    damageData(full, "www");
    const local = { ...VERIFY, storage: "local" };
    await site.operations.verify({ ...local, all: true });
    const below = child.slice(site.repositoryDirectory.length + 1);
    const keys: ColdKeys = new Map(
      objectsIn(site)
        .filter((key) => key.startsWith(below) && /\.enc\.\d{8}$/.test(key))
        .map((key) => [key, "frozen"]),
    );
    expect(keys.size).toBeGreaterThan(0);
    const operations = await withStorages(site, (storage) =>
      storage.name === "local" ? coldStorage(storage, keys) : storage,
    );

    const { passed } = await operations.verify({ ...local, reference: fullId, repair: true });

    expect(passed).toBe(true);
    expect([await stateOf(operations, fullId), await stateOf(operations, childId)]).toEqual(["complete", "damaged"]);
    expect(new Set(keys.values())).toEqual(new Set(["frozen"]));
  });

  it("takes what builds on it back to the latest when its only sound copy is mended", async () => {
    const { site, fullId, full, childId } = await chain({ replica: true });
    const replica = full.replace(site.repositoryDirectory, join(site.directory, "replica"));
    const whole = new Map(readdirSync(full).map((name) => [name, readFileSync(join(full, name))]));
    for (const directory of [full, replica]) damageData(directory, "www");
    for (const storage of ["local", "second"]) await site.operations.verify({ ...VERIFY, all: true, storage });
    await expect(site.operations.show("latest")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
    for (const [name, bytes] of whole) writeFileSync(join(replica, name), bytes, { mode: 0o600 });

    const { passed } = await site.operations.verify({ ...VERIFY, reference: fullId, repair: true });

    expect(passed).toBe(true);
    expect((await site.operations.show("latest")).id).toBe(childId);
    expect([await stateOf(site.operations, childId), await stateOf(site.operations, childId, "second")]).toEqual([
      "complete",
      "complete",
    ]);
  });

  it("in a replica only says nothing of the primary's copy", async () => {
    const { site, fullId, full, childId } = await chain({ replica: true });
    damageData(full.replace(site.repositoryDirectory, join(site.directory, "replica")), "www");

    await site.operations.verify({ ...VERIFY, reference: childId, storage: "second" });

    expect(await stateOf(site.operations, fullId, "second")).toBe("damaged");
    expect((await next(site)).mode).toBe("incremental");
  });

  it.each([
    ["a restore", (operations: Operations, to: string) => restore(operations, { to })],
    ["a download", (operations: Operations, to: string) => download(operations, { to })],
  ])("is not built on after %s has met it", async (_, read) => {
    const { site, fullId, full, childId } = await chain();
    damageData(full, "www");

    await expect(read(site.operations, join(site.directory, "out"))).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
    });

    expect([await stateOf(site.operations, fullId), await stateOf(site.operations, childId)]).toEqual([
      "damaged",
      "complete",
    ]);
    expect((await next(site)).mode).toBe("full");
  });

  it("is told of by what takes the latest backup, which is one that does not build on it", async () => {
    const { site, fullId, full, childId } = await chain();
    damageData(full, "www");
    const out = (name: string): string => join(site.directory, name);
    await expect(restore(site.operations, { to: out("first") })).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });

    const alone = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to: out("alone") });
    const { id: laterId } = await createOne(site);
    addFile(site);
    const { id: newestId } = await createOne(site, { mode: "incremental" });
    const later = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true, to: out("later") });
    damageData(await site.backupDirectory(), "www");
    await site.operations.verify({ ...VERIFY, reference: newestId });
    const downloaded = await download(site.operations, { to: out("files") });

    expect(alone.backup.id).toBe(childId);
    expect(alone.warnings).toEqual([
      `backup ${childId} may not come back whole: ${fullId}, which it builds on, is known to be damaged, and there is no other without damage`,
    ]);
    expect(later).toMatchObject({ backup: { id: newestId }, warnings: [] });
    expect(downloaded.backupId).toBe(laterId);
    expect(downloaded.warnings).toEqual([
      expect.stringMatching(new RegExp(`^backup ${newestId} is passed over, since its verification of .* failed$`)),
    ]);
  });

  it("is passed over with all that builds on it, but for what wants what is sound of it", async () => {
    const { site, fullId } = await chain();
    addFile(site);
    const { id: secondId } = await createOne(site);
    const second = await site.backupDirectory();
    addFile(site);
    const { id: childId } = await createOne(site, { mode: "incremental" });
    damageData(second, "www");
    const out = (name: string): string => join(site.directory, name);
    await expect(download(site.operations, { to: out("first") })).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
    await site.operations.verify({ ...VERIFY, reference: secondId });

    const asked = { ...NOTHING_ASKED, latest: true, to: out("to") };
    const plan = await site.operations.planRestore(asked);
    const salvaging = await site.operations.planRestore({ ...asked, skipDamaged: true });

    expect(plan.lineage[0]).toBe(fullId);
    expect(plan.warnings).toEqual([
      expect.stringMatching(`^backup ${secondId} is passed over, since its verification of `),
      `backup ${childId} is passed over, since ${secondId}, which it builds on, is known to be damaged`,
    ]);
    expect(salvaging.backup.id).toBe(childId);
  });

  it("is told of by a restore also where the catalog can't remember it", async () => {
    const { site, full } = await chain();
    damageData(full, "www");
    const { adapters } = site.session;
    const readOnly = await site.reopen({
      adapters: {
        ...adapters,
        openCatalog: (options) => {
          if (!options.readOnly) throw new BackupctlError("CATALOG_FAILED", "the catalog can't be written");
          return adapters.openCatalog(options);
        },
      },
    });

    await expect(download(readOnly, { to: join(site.directory, "out") })).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
    });

    expect(site.warnings.at(-1)).toBe(
      "the damage that was found could not be recorded in the catalog: the catalog can't be written",
    );
  });
});

function packIn(directory: string): string {
  const name = readdirSync(directory).find((candidate) => /^www\.tree\.zst(\.enc)?\.0{8}$/.test(candidate));
  if (name === undefined) throw new Error(`no pack in ${directory}`);
  return join(directory, name);
}

function spoil(file: string): void {
  const bytes = readFileSync(file);
  bytes[bytes.length >> 1] = (bytes[bytes.length >> 1] ?? 0) ^ 1;
  writeFileSync(file, bytes);
}
