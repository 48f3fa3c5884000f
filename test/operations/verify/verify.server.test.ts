import { readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { basename, join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it } from "vitest";
import type { VerifyRequest } from "../../../src/operations/operations.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { addFile, createOne, openSite, WWW } from "../../helpers/open-site.ts";
import { NO_CHOICES, openSession } from "../../helpers/site.ts";

const NOTHING: VerifyRequest = { all: false, deep: false, quick: false, components: [] };

function find(directory: string, pattern: RegExp): string {
  const name = readdirSync(directory).find((candidate) => pattern.test(candidate));
  if (name === undefined) throw new Error(`nothing like ${pattern} in ${directory}`);
  return join(directory, name);
}

/** Changes one byte. */
function flip(file: string, offset = -40): void {
  const bytes = readFileSync(file);
  const at = offset < 0 ? bytes.length + offset : offset;
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  writeFileSync(file, bytes);
}

const DATA = /^www\.tree\.(zst|raw)(\.enc)?\.00000000$/;

describe("verify", () => {
  it("passes a sound full and incremental backup with every check named", async () => {
    const site = await openSite();
    await createOne(site);
    addFile(site);
    const incremental = await createOne(site, { mode: "incremental" });

    const result = await site.operations.verify({ ...NOTHING, reference: "latest" });

    expect(result).toMatchObject({
      passed: true,
      backups: [{ backupId: incremental.id, passed: true, depth: "full", issues: [] }],
    });
    expect(result.backups[0]?.checks).toEqual({
      checksum_validation: "passed",
      file_integrity: "passed",
      encryption_validation: "passed",
      compression_validation: "passed",
      metadata_validation: "passed",
      component_completeness: "passed",
      restore_comparison: "skipped",
    });
    expect(result.backups[0]?.components).toMatchObject({ files: { status: "passed", files: 4 } });
  });

  it("records what it found beside the backup and in the catalog", async () => {
    const site = await openSite();
    const backup = await createOne(site);

    await site.operations.verify({ ...NOTHING, reference: backup.id });

    const { notes, verification } = await site.operations.show(backup.id);
    expect(notes.verified).toMatchObject({ depth: "full", passed: true, host: "test-host" });
    expect(verification?.passed).toBe(true);
    expect(readdirSync(await site.backupDirectory()).filter((name) => name.startsWith("notes-0-"))).toHaveLength(1);
  });

  it("names the object and the source of a changed byte, and such a backup is not the latest any more", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    flip(find(await site.backupDirectory(), DATA));

    const { passed, backups } = await site.operations.verify({ ...NOTHING, reference: backup.id });

    expect(passed).toBe(false);
    expect(backups[0]?.checks).toMatchObject({ checksum_validation: "failed", encryption_validation: "failed" });
    expect(backups[0]?.components).toMatchObject({ files: { status: "failed" } });
    expect(backups[0]?.issues).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^source "www": www\.tree\.zst\.enc\.00000000.* does not open/),
        expect.stringMatching(/www\.tree\.zst\.enc\.00000000 does not match SHA256SUMS/),
      ]),
    );
    expect(backups[0]?.recommendations[0]).toContain("backupctl create");
    expect(await site.operations.show(backup.id)).toMatchObject({ verified: false, copies: [{ state: "damaged" }] });
    await expect(site.operations.show("latest")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("finds every damaged block, not only the first of a pack", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const pack = find(await site.backupDirectory(), DATA);
    flip(pack, 5_000);
    flip(pack, -40);

    const { backups } = await site.operations.verify({ ...NOTHING, reference: backup.id });

    expect(backups[0]?.issues.filter((issue) => issue.includes("does not open")).length).toBeGreaterThanOrEqual(2);
  });

  it.each(["index", "root"])("finds a changed byte in the %s", async (part) => {
    const site = await openSite();
    const backup = await createOne(site);
    flip(find(await site.backupDirectory(), new RegExp(`^www\\.tree\\.${part}\\.`)));

    const { backups } = await site.operations.verify({ ...NOTHING, reference: backup.id });

    expect(backups[0]).toMatchObject({
      passed: false,
      checks: { encryption_validation: "failed", checksum_validation: "failed" },
    });
    expect(backups[0]?.issues.some((issue) => issue.includes(`www.tree.${part}.`))).toBe(true);
  });

  it("fails an incremental whose ancestor is damaged, and says in which", async () => {
    const site = await openSite();
    const full = await createOne(site);
    const fullDirectory = await site.backupDirectory();
    addFile(site);
    const incremental = await createOne(site, { mode: "incremental" });
    flip(find(fullDirectory, DATA));

    const { backups } = await site.operations.verify({ ...NOTHING, reference: incremental.id });

    expect(backups[0]?.passed).toBe(false);
    expect(backups[0]?.issues).toEqual(expect.arrayContaining([expect.stringContaining(`in its ancestor ${full.id}`)]));
  });

  it("fails an incremental whose ancestor lost its metadata", async () => {
    const site = await openSite();
    const full = await createOne(site);
    rmSync(join(await site.backupDirectory(), "metadata.json"));
    const incremental = await createOne(site, { mode: "incremental" }).catch(() => undefined);
    // Nothing can be built on it any more: the next one is a full backup.
    expect(incremental?.mode).toBe("full");

    const { backups, passed } = await site.operations.verify({ ...NOTHING, reference: full.id });

    expect(passed).toBe(false);
    expect(backups[0]?.checks.component_completeness).toBe("failed");
  });

  it.each([false, true])("finds a missing, a cut and a strange object (quick: %s)", async (quick) => {
    const site = await openSite();
    const backup = await createOne(site);
    const directory = await site.backupDirectory();
    rmSync(find(directory, DATA));
    writeFileSync(find(directory, /^www\.tree\.index/), "cut");
    writeFileSync(join(directory, "www.tree.zst.enc.00000007"), "strange");

    const { backups } = await site.operations.verify({ ...NOTHING, quick, reference: backup.id });

    expect(backups[0]?.checks.component_completeness).toBe("failed");
    expect(backups[0]?.issues).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/www\.tree\.zst\.enc\.00000000 is missing/),
        expect.stringMatching(/www\.tree\.index\.zst\.enc\.00000000 has 3 bytes instead of/),
        expect.stringMatching(/www\.tree\.zst\.enc\.00000007 is not part of the backup/),
      ]),
    );
  });

  it("finds swapped packs of one size, by the place that each is sealed to", async () => {
    const site = await openSite();
    const first = await createOne(site);
    const firstPack = find(await site.backupDirectory(), DATA);
    await createOne(site, { mode: "full" });
    const secondPack = find(await site.backupDirectory(), DATA);
    renameSync(secondPack, `${secondPack}.kept`);
    writeFileSync(secondPack, readFileSync(firstPack));
    rmSync(`${secondPack}.kept`);

    const good = await site.operations.verify({ ...NOTHING, reference: first.id });
    const all = await site.operations.verify({ ...NOTHING, all: true });

    expect(good.passed).toBe(true);
    expect(all.backups.map(({ passed }) => passed)).toEqual([true, false]);
  });

  it("finds notes that were changed, and a keys object that is damaged beside a sound one", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    await site.operations.hold(backup.id, "audit");
    const directory = await site.backupDirectory();
    const notes = find(directory, /^notes-0-/);
    writeFileSync(notes, readFileSync(notes, "utf8").replace("audit", "party"));
    writeFileSync(join(directory, "keys-2-00000000.json"), "{}");

    const { backups } = await site.operations.verify({ ...NOTHING, reference: backup.id });

    expect(backups[0]?.issues).toEqual([
      expect.stringContaining("keys-2-00000000.json"),
      expect.stringContaining(basename(notes)),
    ]);
  });

  it("finds what was sealed for another configured key and does not open, and holds it not against the backup unless the catalog knows better", async () => {
    const site = await openSite();
    const config = join(site.directory, "backup.config.yaml");
    const team = `team: {provider: local, key: ${"cd".repeat(32)}}, `;
    writeFileSync(
      config,
      readFileSync(config, "utf8").replace("{keys: {", (keys) => keys + team),
    );
    const operations = await site.reopen({ loaded: (await openSession(config)).loaded });
    const { backup } = await operations.create(NO_CHOICES);
    const keys = find(await site.backupDirectory(), /^keys-/);
    const content = JSON.parse(readFileSync(keys, "utf8"));
    const wrap = content.wraps.find(({ name }: { name: string }) => name === "team");
    wrap.ciphertext = wrap.ciphertext.replace(/^./, (first: string) => (first === "A" ? "B" : "A"));
    writeFileSync(keys, JSON.stringify(content));
    const isLocked = expect.stringContaining(`${basename(keys)}: key team (local) does not open`);

    const known = await operations.verify({ ...NOTHING, all: true });
    const stateThen = await operations.show(backup?.id ?? "");
    await operations.rebuildCatalog();
    const unknown = await operations.verify({ ...NOTHING, all: true });

    expect(known.backups[0]?.issues).toEqual([expect.stringContaining("are not what was written"), isLocked]);
    expect(stateThen).toMatchObject({ copies: [{ state: "damaged" }] });
    expect(unknown.backups[0]).toMatchObject({
      passed: false,
      issues: [isLocked],
      recommendations: [expect.stringContaining("key team")],
    });
    expect(await operations.show(backup?.id ?? "")).toMatchObject({ copies: [{ state: "complete" }] });
  });

  it("believes the sound one of two copies of a note", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    await site.operations.hold(backup.id, "audit");
    const notes = find(await site.backupDirectory(), /^notes-0-/);
    writeFileSync(notes, readFileSync(notes, "utf8").replace("audit", "party"));

    await site.operations.rebuildCatalog();

    expect((await site.operations.show(backup.id)).notes.hold?.reason).toBe("audit");
  });

  it("does not believe metadata that was changed", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const file = join(await site.backupDirectory(), "metadata.json");
    writeFileSync(file, readFileSync(file, "utf8").replace('"created_by": "tester"', '"created_by": "mallory"'));

    const { backups } = await site.operations.verify({ ...NOTHING, reference: backup.id });

    expect(backups[0]).toMatchObject({
      passed: false,
      checks: { metadata_validation: "failed", file_integrity: "skipped" },
    });
    await expect(site.operations.show("latest")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("refuses a backup without encryption where the config has it on, unless it is named", async () => {
    const site = await openSite();
    const backup = await createOne(site, { encrypt: false });

    await expect(site.operations.verify({ ...NOTHING, reference: backup.id })).rejects.toMatchObject({
      code: "BACKUP_VERIFICATION_FAILED",
      hint: expect.stringContaining("--allow-unencrypted"),
    });
    const named = await site.operations.verify({ ...NOTHING, reference: backup.id, allowUnencrypted: backup.id });

    expect(named.backups[0]).toMatchObject({ passed: true, checks: { encryption_validation: "skipped" } });
  });

  it("says that the key is missing, and blames no backup for it", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
    const operations = await site.reopen();

    await expect(operations.verify({ ...NOTHING, reference: backup.id })).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_NOT_FOUND",
    });
    const all = await operations.verify({ ...NOTHING, all: true });

    expect(all.backups[0]).toMatchObject({
      passed: false,
      unseen: "locked",
      checks: { encryption_validation: "failed", metadata_validation: "skipped" },
      recommendations: [expect.stringContaining("encryption.keys")],
    });
    expect(await site.operations.show(backup.id)).toMatchObject({ verified: true, copies: [{ state: "complete" }] });
  });

  it("keeps a failed verification in force when a quick one passes, until a full one does", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const pack = find(await site.backupDirectory(), DATA);
    const verify = (quick: boolean) => site.operations.verify({ ...NOTHING, quick, reference: backup.id });
    flip(pack);
    await verify(false);
    flip(pack);

    await verify(true);
    expect((await site.operations.show(backup.id)).verified).toBe(false);
    await verify(false);
    expect((await site.operations.show(backup.id)).verified).toBe(true);
  });

  it("tells the copies apart: with one that is damaged the backup is as good as before, with none that is sound it has failed", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    const states = async () => (await site.operations.show(backup.id)).copies.map(({ state }) => state);
    const verify = async (storage?: string) =>
      (await site.operations.verify({ ...NOTHING, storage, reference: backup.id })).passed;
    const path = (await site.backupDirectory()).slice(site.repositoryDirectory.length);
    const replicaPack = find(join(site.directory, "replica", path), DATA);
    flip(replicaPack);

    expect(await verify("second")).toBe(false);
    expect(await states()).toEqual(["complete", "damaged"]);
    expect((await site.operations.show("latest")).id).toBe(backup.id);
    expect(await verify("local")).toBe(true);

    flip(replicaPack);
    flip(find(await site.backupDirectory(), DATA));
    expect(await verify()).toBe(false);

    expect(await states()).toEqual(["damaged", "complete"]);
    expect((await site.operations.show("latest")).id).toBe(backup.id);

    flip(replicaPack);
    expect(await verify("second")).toBe(false);
    expect(await states()).toEqual(["damaged", "damaged"]);
    await expect(site.operations.show("latest")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });

    flip(replicaPack);
    expect(await verify("second")).toBe(true);
    expect((await site.operations.show("latest")).id).toBe(backup.id);
  });

  it("says what a replica has no copy of, and takes it for no damage", async () => {
    const site = await openSite({ replica: true });
    const whole = await createOne(site);
    const path = (await site.backupDirectory()).slice(site.repositoryDirectory.length);
    const missed = await createOne(site, { storages: ["local"] });
    const verify = (request: Partial<VerifyRequest>) =>
      site.operations.verify({ ...NOTHING, storage: "second", ...request });

    const { passed, backups } = await verify({ all: true });

    expect(passed).toBe(false);
    expect(backups).toMatchObject([
      { backupId: whole.id, passed: true },
      { backupId: missed.id, passed: false, unseen: "pending", checks: { component_completeness: "skipped" } },
    ]);
    const one = await verify({ reference: missed.id });
    expect(one.backups).toMatchObject([{ backupId: missed.id, passed: false, unseen: "pending" }]);
    expect(one.backups[0]?.recommendations).toEqual([
      expect.stringContaining(`\`backupctl replicate ${missed.id.slice(0, 8)} --to second\` brings it`),
    ]);
    expect((await site.operations.show("latest")).id).toBe(missed.id);

    rmSync(join(site.directory, "replica", path, "metadata.json"));
    expect((await verify({ all: true })).backups[0]).toMatchObject({
      passed: false,
      issues: [expect.stringMatching(/is missing/)],
    });
  });

  it("verifies what was made in a span, and fails when there is nothing", async () => {
    const site = await openSite();

    await expect(site.operations.verify({ ...NOTHING, lastMs: 86_400_000 })).rejects.toMatchObject({
      code: "BACKUP_NOT_FOUND",
    });
    await createOne(site);

    expect((await site.operations.verify({ ...NOTHING, lastMs: 86_400_000, quick: true })).backups).toHaveLength(1);
  });

  it("looks at a component wherever it is, by either of its names, and fails where it is nowhere", async () => {
    const conf = `  conf: {engine: files, component: configuration, paths: ["{dir}/www"]}`;
    const site = await openSite({ sources: `${WWW}\n${conf}` });
    const full = await createOne(site);
    await createOne(site, { type: "files" });

    const { backups } = await site.operations.verify({ ...NOTHING, all: true, components: ["configurations"] });

    expect(backups.map(({ backupId }) => backupId)).toEqual([full.id]);
    expect(Object.keys(backups[0]?.components ?? {})).toEqual(["configuration"]);
    await expect(site.operations.verify({ ...NOTHING, all: true, components: ["music"] })).rejects.toMatchObject({
      code: "BACKUP_NOT_FOUND",
      message: "there is no backup with music",
    });
  });

  it("restores an incremental of files and a database to a scratch place and compares, and leaves nothing", async () => {
    const site = await openSite({ sources: `${WWW}\n  db: {engine: sqlite, path: "{dir}/app.db"}` });
    const database = new Sqlite(join(site.directory, "app.db"));
    database.exec(
      "CREATE TABLE orders (id INTEGER PRIMARY KEY, what TEXT); INSERT INTO orders (what) VALUES ('a'), ('b')",
    );
    database.close();
    await createOne(site);
    addFile(site);
    const backup = await createOne(site, { mode: "incremental" });
    const state = await statePaths(site.session);

    const { backups } = await site.operations.verify({ ...NOTHING, deep: true, reference: backup.id });

    expect(backups[0]).toMatchObject({
      passed: true,
      depth: "deep",
      issues: [],
      checks: { restore_comparison: "passed" },
    });
    expect(readdirSync(join(state.directory, "reading"))).toEqual([]);
  });

  it("fails when a source can't be restored here, but holds it not against the backup", async () => {
    const site = await openSite({ sources: `${WWW}\n  db: {engine: sqlite, path: "{dir}/app.db"}` });
    new Sqlite(join(site.directory, "app.db")).exec("CREATE TABLE t (x)").close();
    const backup = await createOne(site);
    const { sqlite: _, ...engines } = site.session.adapters.engines;
    const operations = await site.reopen({ adapters: { ...site.session.adapters, engines } });

    const { backups } = await operations.verify({ ...NOTHING, deep: true, reference: backup.id });

    expect(backups[0]).toMatchObject({
      passed: false,
      checks: { restore_comparison: "failed", file_integrity: "passed" },
    });
    expect(backups[0]?.recommendations.join()).not.toContain("backupctl create");
    expect(await operations.show("latest")).toMatchObject({ id: backup.id });
  });

  it.each([
    [{ ...NOTHING }, "USAGE"],
    [{ ...NOTHING, all: true, reference: "latest" }, "USAGE"],
    [{ ...NOTHING, reference: "latest", components: ["music"] }, "COMPONENT_NOT_FOUND"],
    [{ ...NOTHING, reference: "latest", storage: "moon" }, "STORAGE_NOT_FOUND"],
  ])("refuses %j with %s", async (request, code) => {
    const site = await openSite();
    await createOne(site);

    await expect(site.operations.verify(request)).rejects.toMatchObject({ code });
  });
});
