import { createHash } from "node:crypto";
import { cpSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BackupId } from "../../../src/domain/backup.ts";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { acquireLock } from "../../../src/platform/lock.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { restore } from "../restore/tools.ts";

const REPAIR = { all: false, deep: false, quick: false, components: [], repair: true } as const;
const DATA_KEY = /\/www\.tree\.zst(\.enc)?\.00000000$/;
const DATA = /^www\.tree\.zst(\.enc)?\.00000000$/;

interface TwoCopies {
  readonly site: OpenSite;
  readonly fullId: string;
  readonly id: string;
  readonly full: string;
  readonly last: string;
}

/** A full backup and one that builds on it, whole in `local` and in `second`. */
async function twoCopies(): Promise<TwoCopies> {
  const site = await openSite({ replica: true });
  const full = await createOne(site);
  const fullDirectory = await site.backupDirectory();
  addFile(site);
  const last = await createOne(site, { mode: "incremental" });
  await site.operations.hold(last.id, "kept for the test");
  return { site, fullId: full.id, id: last.id, full: fullDirectory, last: await site.backupDirectory() };
}

function find(directory: string, pattern: RegExp): string {
  const name = readdirSync(directory).find((candidate) => pattern.test(candidate));
  if (name === undefined) throw new Error(`nothing like ${pattern} in ${directory}`);
  return join(directory, name);
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  writeFileSync(file, bytes);
}

const lose = (file: string): void => rmSync(file);
const grow = (file: string): void => writeFileSync(file, "and more", { flag: "a" });

function inSecond({ site }: TwoCopies, directory: string): string {
  return directory.replace(site.repositoryDirectory, join(site.directory, "replica"));
}

function keyOf({ site }: TwoCopies, file: string): string {
  return file.slice(site.repositoryDirectory.length + 1);
}

/** Every object of a backup, with its content. */
function contentsOf(directory: string): Readonly<Record<string, string>> {
  return Object.fromEntries(
    readdirSync(directory)
      .sort()
      .map((name) => [
        name,
        createHash("sha256")
          .update(readFileSync(join(directory, name)))
          .digest("hex"),
      ]),
  );
}

async function copiesOf(site: OpenSite, id: string): Promise<Readonly<Record<string, string>>> {
  const { copies } = await site.operations.show(id);
  return Object.fromEntries(copies.map(({ storage, state }) => [storage, state]));
}

describe("verify --repair", () => {
  it.each([
    ["a damaged pack", "last", DATA, flip],
    ["a pack that is gone", "last", DATA, lose],
    ["a pack that has grown", "last", DATA, grow],
    ["a root", "last", /\.root\./, flip],
    ["an index", "last", /\.index\./, lose],
    ["the sums", "last", /^SHA256SUMS$/, flip],
    ["metadata that are damaged", "last", /^metadata\.json$/, flip],
    [
      "metadata that were changed",
      "last",
      /^metadata\.json$/,
      (file: string) => writeFileSync(file, readFileSync(file, "utf8").replace('"test-host"', '"other-host"')),
    ],
    ["metadata that are gone", "last", /^metadata\.json$/, lose],
    ["keys that are damaged", "last", /^keys-/, flip],
    ["keys that are gone", "last", /^keys-/, lose],
    [
      "notes that were changed",
      "last",
      /^notes-/,
      (file: string) => writeFileSync(file, readFileSync(file, "utf8").replace("kept", "lost")),
    ],
    ["notes that are gone", "last", /^notes-/, lose],
    ["an ancestor's pack", "full", DATA, flip],
    ["an ancestor's metadata", "full", /^metadata\.json$/, lose],
    ["an ancestor's keys", "full", /^keys-/, flip],
  ] as const)("replaces %s by what another copy has", async (_, where, pattern, damage) => {
    const made = await twoCopies();
    const { site, id } = made;
    const before = contentsOf(made[where]);
    const file = find(made[where], pattern);
    damage(file);

    const { passed, backups } = await site.operations.verify({ ...REPAIR, reference: id, storage: "local" });

    expect(passed).toBe(true);
    expect(contentsOf(made[where])).toMatchObject(before);
    expect(backups).toMatchObject([
      {
        storage: "local",
        passed: true,
        issues: [],
        repaired: [{ object: keyOf(made, file), storage: "second" }],
      },
    ]);
    expect(await copiesOf(site, id)).toEqual({ local: "complete", second: "complete" });
  });

  it("looks at each copy, and mends one that was taken for complete", async () => {
    const made = await twoCopies();
    const { site, id, fullId } = made;
    const packs = [made.full, made.last].map((directory) => find(inSecond(made, directory), DATA));
    packs.forEach(flip);

    const { passed, backups } = await site.operations.verify({ ...REPAIR, all: true });

    expect(passed).toBe(true);
    expect(backups.map(({ backupId, storage, repaired }) => [backupId, storage, repaired.length])).toEqual([
      [fullId, "local", 0],
      [fullId, "second", 1],
      [id, "local", 0],
      [id, "second", 1],
    ]);
    expect(await copiesOf(site, fullId)).toEqual({ local: "complete", second: "complete" });
  });

  it.each([
    ["a backup", "last"],
    ["an ancestor", "full"],
  ] as const)("joins metadata of %s that one copy has to keys that another one has", async (_, where) => {
    const made = await twoCopies();
    const { site, id, fullId } = made;
    const metadata = find(made[where], /^metadata\.json$/);
    const keys = find(inSecond(made, made[where]), /^keys-/);
    const before = contentsOf(made[where]);
    flip(metadata);
    lose(keys);

    const { passed, backups } = await site.operations.verify({ ...REPAIR, reference: id });

    expect(passed).toBe(true);
    expect(backups).toMatchObject([
      { storage: "local", repaired: [{ object: keyOf(made, metadata), storage: "second" }] },
      { storage: "second", repaired: [{ storage: "local" }] },
    ]);
    for (const directory of [made[where], inSecond(made, made[where])])
      expect(contentsOf(directory)).toMatchObject(before);
    for (const each of [id, fullId])
      expect(await copiesOf(site, each)).toEqual({ local: "complete", second: "complete" });
  });

  it("leaves a whole copy in an archive alone, which may lie in a drawer", async () => {
    const site = await openSite({ storages: { vault: "archive" } });
    const { id } = await createOne(site);
    await site.operations.replicate({ to: ["vault"], reference: id, dryRun: false, lockWaitMs: 0 });

    const { backups } = await site.operations.verify({ ...REPAIR, all: true });

    expect(backups).toMatchObject([{ storage: "local", passed: true }]);
  });

  it("makes all of it anew, ancestors included, and the catalog says that it is complete again", async () => {
    const made = await twoCopies();
    const { site, id, fullId } = made;
    rmSync(inSecond(made, made.full), { recursive: true });
    rmSync(inSecond(made, made.last), { recursive: true });
    await site.operations.verify({ ...REPAIR, repair: false, reference: fullId, storage: "second" });
    await site.operations.verify({ ...REPAIR, repair: false, reference: id, storage: "second" });
    expect(await copiesOf(site, fullId)).toEqual({ local: "complete", second: "damaged" });

    const { passed } = await site.operations.verify({ ...REPAIR, reference: id, storage: "second" });

    expect(passed).toBe(true);
    expect(contentsOf(inSecond(made, made.full))).toEqual(contentsOf(made.full));
    expect(await copiesOf(site, fullId)).toEqual({ local: "complete", second: "complete" });
    expect(await copiesOf(site, id)).toEqual({ local: "complete", second: "complete" });
  });

  it("takes each object from where it is sound, though no copy is whole", async () => {
    const made = await twoCopies();
    const { site, id } = made;
    flip(find(made.last, DATA));
    flip(find(inSecond(made, made.last), /\.index\./));

    const local = await site.operations.verify({ ...REPAIR, reference: id, storage: "local" });
    const second = await site.operations.verify({ ...REPAIR, reference: id, storage: "second" });

    expect([local.passed, second.passed]).toEqual([true, true]);
  });

  it("leaves what nothing sound is left of as it is, and says what to do", async () => {
    const made = await twoCopies();
    const { site, id } = made;
    flip(find(made.last, DATA));
    flip(find(inSecond(made, made.last), DATA));
    const damaged = contentsOf(made.last);

    const { passed, backups } = await site.operations.verify({ ...REPAIR, reference: id });

    expect(passed).toBe(false);
    expect(backups).toMatchObject([
      { storage: "local", repaired: [] },
      { storage: "second", repaired: [] },
    ]);
    expect(backups[0]?.recommendations.join("\n")).toContain("backupctl create --mode full");
    expect(contentsOf(made.last)).toMatchObject(damaged);
  });

  it("takes nothing from a copy that is only another one", async () => {
    const made = await twoCopies();
    const other = await twoCopies();
    flip(find(made.last, DATA));
    cpSync(find(other.last, DATA), find(inSecond(made, made.last), DATA));

    const { passed, backups } = await made.site.operations.verify({ ...REPAIR, reference: made.id });

    expect([passed, backups[0]?.repaired]).toEqual([false, []]);
  });

  it("tells by what each key opens which keys are sound, where the catalog does not know, and leaves what is none in each copy", async () => {
    const made = await twoCopies();
    await made.site.operations.rebuildCatalog();
    const keys = find(made.last, /^keys-/);
    const before = readFileSync(keys, "utf8");
    writeFileSync(keys, "{}");
    const strange = "keys-2-00000000.json";
    for (const directory of [made.last, inSecond(made, made.last)]) writeFileSync(join(directory, strange), "{}");

    const { backups } = await made.site.operations.verify({ ...REPAIR, reference: made.id, storage: "local" });

    expect(backups).toMatchObject([
      {
        passed: false,
        issues: [expect.stringContaining(strange)],
        repaired: [{ object: keyOf(made, keys), storage: "second" }],
      },
    ]);
    expect(readFileSync(keys, "utf8")).toBe(before);
    expect(readFileSync(join(made.last, strange), "utf8")).toBe("{}");
  });

  it("mends keys that another host added by what each key opens, of which the catalog knows nothing", async () => {
    const made = await twoCopies();
    const [first, added] = [find(made.last, /^keys-/), "keys-2-0000000a.json"];
    const whole = `${readFileSync(first, "utf8")}\n`;
    writeFileSync(join(inSecond(made, made.last), added), whole);
    writeFileSync(join(made.last, added), whole.slice(1));

    const { passed, backups } = await made.site.operations.verify({ ...REPAIR, reference: made.id, storage: "local" });

    expect(passed).toBe(true);
    expect(backups[0]?.repaired).toEqual([{ object: keyOf(made, join(made.last, added)), storage: "second" }]);
    expect(readFileSync(join(made.last, added), "utf8")).toBe(whole);
  });

  it("goes on where it was broken off", async () => {
    const made = await twoCopies();
    const { site, id } = made;
    for (const pattern of [DATA, /\.index\./, /\.root\./]) flip(find(made.last, pattern));
    const full = new BackupctlError("INSUFFICIENT_STORAGE", 'storage "local" is full');
    const broken = await withFaults(site, (storage) => {
      if (storage.name === "local") storage.onKey("put", /\.index\./).fail(full);
    });
    await expect(broken.verify({ ...REPAIR, reference: id })).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });

    const { passed } = await site.operations.verify({ ...REPAIR, reference: id });

    expect(passed).toBe(true);
    expect(contentsOf(made.last)).toMatchObject(contentsOf(inSecond(made, made.last)));
  });

  it("repairs nothing by metadata that are damaged in every copy", async () => {
    const made = await twoCopies();
    for (const directory of [made.full, inSecond(made, made.full)]) flip(find(directory, /^metadata\.json$/));
    const pack = find(made.last, DATA);
    flip(pack);

    const { passed, backups } = await made.site.operations.verify({ ...REPAIR, reference: made.id, storage: "local" });

    expect(passed).toBe(false);
    expect(backups[0]?.issues.join()).toMatch(/ancestor .*metadata\.json/);
    expect(backups[0]?.repaired.map(({ object }) => object)).toEqual([keyOf(made, pack)]);
    flip(find(made.last, /^metadata\.json$/));
    flip(find(inSecond(made, made.last), /^metadata\.json$/));
    const again = await made.site.operations.verify({ ...REPAIR, reference: made.id, storage: "local" });
    expect(again.backups).toMatchObject([{ passed: false, repaired: [] }]);
  });

  it("does without a storage that is away, and says so", async () => {
    const made = await twoCopies();
    flip(find(made.last, DATA));
    rmSync(join(made.site.directory, "replica"), { recursive: true });

    const verified = (await made.site.reopen()).verify({ ...REPAIR, reference: made.id, storage: "local" });

    expect((await verified).backups).toMatchObject([{ passed: false, repaired: [] }]);
    expect(made.site.warnings.filter((line) => line.startsWith('storage "second" is left out'))).toHaveLength(1);
  });

  it("goes on without a storage that is away and has a damaged copy, tells each copy there, and fails", async () => {
    const made = await twoCopies();
    const { site, id, fullId } = made;
    for (const directory of [made.full, made.last]) flip(find(inSecond(made, directory), DATA));
    for (const reference of [fullId, id])
      await site.operations.verify({ ...REPAIR, repair: false, reference, storage: "second" });
    flip(find(made.last, /^keys-/));
    const replica = join(site.directory, "replica");
    renameSync(replica, `${replica}.unplugged`);

    const { passed, backups } = await (await site.reopen()).verify({ ...REPAIR, all: true });

    expect(passed).toBe(false);
    const told = backups.map(({ backupId, storage, unseen }) => [backupId, storage, unseen]);
    expect(told).toEqual([
      [fullId, "local", undefined],
      [fullId, "second", "away"],
      [id, "local", undefined],
      [id, "second", "away"],
    ]);
    expect(site.warnings.filter((line) => line.startsWith('storage "second" is left out'))).toHaveLength(1);
  });

  it("ends where a storage does not keep what it is given", async () => {
    const made = await twoCopies();
    const broken = await withFaults(made.site, (storage) => {
      if (storage.name === "local") storage.onKey("get", DATA_KEY).corrupt((bytes) => Buffer.from(bytes).fill(0, 0, 8));
    });

    await expect(broken.verify({ ...REPAIR, reference: made.id, storage: "local" })).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("is not what was put there"),
    });
  });

  it("leaves what somebody wrote without the key where it is, and takes it from nowhere", async () => {
    const made = await twoCopies();
    const notes = find(inSecond(made, made.last), /^notes-/);
    const unproven = notes.replace(/-[0-9a-f]{8}\.json$/, "-00000000.json");
    writeFileSync(unproven, readFileSync(notes, "utf8").replace(/"hmac-sha256:\w+"/, `"sha256:${"0".repeat(64)}"`));

    for (const storage of ["local", "second"]) {
      const { backups } = await made.site.operations.verify({ ...REPAIR, reference: made.id, storage });
      expect(backups).toMatchObject([{ passed: true, repaired: [] }]);
    }

    expect(readdirSync(inSecond(made, made.last))).toContain(basename(unproven));
    expect(readdirSync(made.last)).not.toContain(basename(unproven));
  });

  it("is refused while another run writes", async () => {
    const { site, id } = await twoCopies();
    const { lock } = await statePaths(site.session);
    const held = await acquireLock(
      lock,
      { operation: "create" },
      { signal: site.session.signal, clock: site.session.clock },
    );

    const refused = (await site.reopen()).verify({ ...REPAIR, reference: id });

    await expect(refused).rejects.toMatchObject({ code: "BACKUP_IN_PROGRESS" });
    await held.release();
  });
});

/** The same site, whose first storage is behind a network. */
function withPrimaryElsewhere({ session, reopen }: OpenSite): Promise<Operations> {
  const { adapters, loaded } = session;
  const local = adapters.storages.local;
  if (local === undefined) throw new Error("no local storage");
  const [primary, ...others] = loaded.config.storages;
  if (primary === undefined) throw new Error("no storages");
  return reopen({
    adapters: { ...adapters, storages: { ...adapters.storages, elsewhere: { ...local, isLocal: false } } },
    loaded: { ...loaded, config: { ...loaded.config, storages: [{ ...primary, type: "elsewhere" }, ...others] } },
  });
}

describe("verify, where no storage is named,", () => {
  const VERIFY = { ...REPAIR, repair: false };

  it("looks at the copy on this host before the primary behind a network, and at no other while that passes", async () => {
    const { site, id } = await twoCopies();
    const operations = await withPrimaryElsewhere(site);

    expect(await operations.verify({ ...VERIFY, reference: id })).toMatchObject({
      passed: true,
      backups: [{ storage: "second", passed: true }],
    });
  });

  it("goes on with the next where the best copy is damaged, says both, and fails", async () => {
    const made = await twoCopies();
    flip(find(made.last, DATA));

    const { passed, backups } = await made.site.operations.verify({ ...VERIFY, reference: made.id });

    expect(passed).toBe(false);
    expect(backups).toMatchObject([
      { storage: "local", passed: false },
      { storage: "second", passed: true },
    ]);
    expect(backups[0]?.recommendations[0]).toContain(
      `backupctl verify ${made.id.slice(0, 8)} --storage local --repair`,
    );
  });

  it("tells known damage beside a sound copy until it is mended", async () => {
    const made = await twoCopies();
    const { operations } = made.site;
    flip(find(made.last, DATA));
    await operations.verify({ ...VERIFY, reference: made.id });

    const again = await operations.verify({ ...VERIFY, reference: made.id });
    const mended = await operations.verify({ ...REPAIR, reference: made.id });
    const after = await operations.verify({ ...VERIFY, reference: made.id });

    expect(again).toMatchObject({ passed: false, backups: [{ storage: "second" }, { storage: "local" }] });
    expect(mended).toMatchObject({ passed: true, backups: [{ repaired: [] }, { storage: "local", repaired: [{}] }] });
    expect(after).toMatchObject({ passed: true, backups: [{ storage: "local" }] });
  });

  it("passes over a copy that is still to come", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    flip(find(await site.backupDirectory(), DATA));

    const { backups } = await site.operations.verify({ ...VERIFY, reference: id });

    expect(backups).toMatchObject([{ storage: "local", passed: false }]);
  });

  it("tells a backup whose only copy is away beside those that it saw, and fails", async () => {
    const made = await twoCopies();
    const { site, fullId, id } = made;
    (await site.context.catalog("write")).removeCopy(id as BackupId, "local");
    rmSync(made.last, { recursive: true });
    rmSync(join(site.directory, "replica"), { recursive: true });

    const { passed, backups } = await (await site.reopen()).verify({ ...REPAIR, repair: false, all: true });

    expect(passed).toBe(false);
    expect(backups.map(({ backupId, storage, unseen }) => [backupId, storage, unseen])).toEqual([
      [fullId, "local", undefined],
      [id, "second", "away"],
    ]);
  });

  it("looks at another copy where the primary is away, and says so", async () => {
    const { site, id } = await twoCopies();
    rmSync(site.repositoryDirectory, { recursive: true });

    const { passed, backups } = await (await site.reopen()).verify({ ...VERIFY, reference: id });

    expect(passed).toBe(true);
    expect(backups).toMatchObject([{ storage: "second" }]);
    expect(site.warnings).toContainEqual(expect.stringMatching(/^storage "local" is left out: /));
  });
});

describe("a backup that a replica led, of which the primary has no copy yet,", () => {
  const VERIFY = { ...REPAIR, repair: false };

  async function ledByReplica() {
    const site = await openSite({ replica: true });
    const { id: sound } = await createOne(site);
    addFile(site);
    const unplugged = `${site.repositoryDirectory}.unplugged`;
    renameSync(site.repositoryDirectory, unplugged);
    const { backup } = await (await site.reopen()).create({ ...NO_CHOICES, mode: "full" });
    const led = (await site.backupDirectory()).replace(site.repositoryDirectory, join(site.directory, "replica"));
    renameSync(unplugged, site.repositoryDirectory);
    const operations = await site.reopen();
    return { site, sound, id: backup?.id ?? "", pack: find(led, DATA), operations };
  }

  it("is no longer the latest, nor a parent, once its only copy failed", async () => {
    const { site, sound, id, pack, operations } = await ledByReplica();
    flip(pack);

    const { passed } = await operations.verify({ ...VERIFY, reference: "latest" });

    expect(passed).toBe(false);
    const restored = await restore(operations, { latest: true, to: join(site.directory, "out") });
    expect(restored.sources).toMatchObject([{ status: "completed" }]);
    expect((await operations.show("latest")).id).toBe(sound);
    expect(await operations.planCreate({ ...NO_CHOICES, mode: "incremental" })).toMatchObject({ parentId: sound });
    expect(await operations.show(id)).toMatchObject({ verified: false, damagedIn: ["second"] });
  });

  it("is the latest again when that copy passes", async () => {
    const { id, pack, operations } = await ledByReplica();
    flip(pack);
    await operations.verify({ ...VERIFY, reference: id });
    flip(pack);

    const { passed } = await operations.verify({ ...VERIFY, reference: id });

    expect(passed).toBe(true);
    expect((await operations.show("latest")).id).toBe(id);
  });
});
