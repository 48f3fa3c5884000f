import { execFileSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Catalog } from "../../../src/catalog/catalog.ts";
import type { BackupId } from "../../../src/domain/backup.ts";
import { planCreate } from "../../../src/operations/create/create.ts";
import { readBackup } from "../../../src/operations/repository/repository.ts";
import { flipped } from "../../helpers/bytes.ts";
import { makeSite, NO_CHOICES, type Site } from "../../helpers/site.ts";

const FILES = `  www: {engine: files, paths: ["{dir}/www"]}`;

function fill(site: Site, megabytes = 3): void {
  const www = join(site.directory, "www");
  mkdirSync(join(www, "uploads"), { recursive: true });
  writeFileSync(join(www, "index.html"), "<h1>hello</h1>");
  writeFileSync(join(www, "uploads/large.bin"), randomBytes(megabytes * 1024 * 1024));
  writeFileSync(join(www, "uploads/small.txt"), "small");
}

function storedIn(site: Site, path: string): readonly string[] {
  return readdirSync(join(site.repositoryDirectory, path)).sort();
}

async function newestPath(site: Site): Promise<string> {
  return (await site.context.catalog("read")).list({}).backups[0]?.storagePath ?? "";
}

describe("create", () => {
  it("commits a full backup that reads back as authentic", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);

    await site.create();

    const path = await newestPath(site);
    const repository = await site.context.repository();
    const stored = await readBackup(repository, await repository.storage(repository.primaryName), path);
    expect(stored).toMatchObject({ trusted: true, metadata: { status: "completed", mode: "full", encrypted: true } });
    expect(stored.metadata.sources[0]).toMatchObject({ name: "www", counts: { files: 3 } });
    expect(storedIn(site, path)).toEqual([
      "SHA256SUMS",
      expect.stringMatching(/^keys-1-[0-9a-f]{8}\.json$/),
      "metadata.json",
      "www.tree.index.zst.enc.00000000",
      "www.tree.root.zst.enc.00000000",
      "www.tree.zst.enc.00000000",
    ]);
  });

  it("stores only what changed in an incremental", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site, 8);
    const full = await site.create();
    appendFileSync(join(site.directory, "www/uploads/large.bin"), "one line more");
    renameSync(join(site.directory, "www/index.html"), join(site.directory, "www/start.html"));

    const incremental = await site.create({ mode: "incremental" });

    expect(incremental.backup).toMatchObject({
      mode: "incremental",
      parentId: full.backup?.id,
      category: "incremental",
    });
    expect(incremental.sources[0]?.newBytes).toBeLessThan(600 * 1024);
    expect(incremental.sources[0]?.sizeBytes).toBe((full.sources[0]?.sizeBytes ?? 0) + 13);
  });

  it("estimates a source by what it was the last time, and looks at it where there was no last time", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);

    const first = await planCreate(site.context, NO_CHOICES);
    const { sources } = await site.create();
    appendFileSync(join(site.directory, "www/index.html"), "x".repeat(100_000));
    const second = await planCreate(site.context, NO_CHOICES);

    const size = sources[0]?.sizeBytes;
    expect(first).toMatchObject({ estimatedBytes: size, uncertain: false });
    expect(second).toMatchObject({ estimatedBytes: size, uncertain: true });
  });

  it("plans nothing for a source that can't be looked at, which fails when it is read", async () => {
    const site = await makeSite({
      sources: `${FILES}\n  shop: {engine: postgres, url: "postgres://u@127.0.0.1:1/shop"}`,
    });
    fill(site);

    const { sources, uncertain } = await planCreate(site.context, NO_CHOICES);
    const result = await site.create();

    expect(sources).toMatchObject([{ name: "www" }, { name: "shop", estimatedBytes: 0 }]);
    expect(uncertain).toBe(true);
    expect(result.sources).toMatchObject([{ status: "completed" }, { status: "failed" }]);
  });

  it("stores everything anew where the parent's index can't be had, and says so", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    const full = await site.create();
    const { state } = await site.context.repository();
    rmSync(state.indexes, { recursive: true });
    mkdirSync(state.indexes);
    const root = join(site.repositoryDirectory, await newestPath(site), "www.tree.root.zst.enc.00000000");
    writeFileSync(root, flipped(readFileSync(root), 400));

    const next = await site.create({ mode: "incremental" });

    expect(next.sources[0]?.newBytes).toBe(full.sources[0]?.newBytes);
    expect(next.warnings.join("\n")).toMatch(/the index of source "www" in backup .* can't be read/);
  });

  it("makes a differential against the full backup, whatever came between", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    const full = await site.create();
    await site.create({ mode: "incremental" });

    const differential = await site.create({ mode: "differential" });

    expect(differential.backup).toMatchObject({ mode: "differential", parentId: full.backup?.id });
  });

  it("makes a full one and says why when an object of the parent is missing", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    const full = await site.create();
    rmSync(join(site.repositoryDirectory, await newestPath(site), "www.tree.zst.enc.00000000"));

    const next = await site.create({ mode: "incremental" });

    expect(next.plan).toMatchObject({ mode: "full", requestedMode: "incremental" });
    expect(next.plan.modeReason).toContain(`${full.backup?.id.slice(0, 8)} can't be built on`);
    expect(next.plan.modeReason).toContain("www.tree.zst.enc.00000000 is missing");
  });

  it("builds on the parent's index from storage when this host's copy is gone", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    await site.create();
    const { state } = await site.context.repository();
    rmSync(state.indexes, { recursive: true });
    mkdirSync(state.indexes);

    const next = await site.create({ mode: "incremental" });

    expect(next.backup?.mode).toBe("incremental");
    expect(next.sources[0]?.newBytes).toBe(0);
    expect(site.warnings).toEqual([]);
  });

  it("keeps the sound sources when one fails, and stores nothing of that one", async () => {
    const site = await makeSite({ sources: `${FILES}\n  broken: {engine: command, command: ["false"]}` });
    fill(site);

    const result = await site.create();

    expect(result.backup?.status).toBe("partial");
    expect(result.sources.map(({ name, status }) => [name, status])).toEqual([
      ["www", "completed"],
      ["broken", "failed"],
    ]);
    expect(storedIn(site, await newestPath(site)).filter((name) => name.startsWith("broken"))).toEqual([]);
  });

  it("tells what a source warns of, and keeps the names out of the metadata", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    const pipes = Array.from({ length: 30 }, (_, index) => join(site.directory, `www/pipe-${index + 10}`));
    execFileSync("mkfifo", pipes);

    const { warnings, backup } = await site.create();

    expect(backup?.status).toBe("completed");
    expect(warnings).toEqual([
      ...pipes.slice(0, 20).map((pipe) => `source "www": ${pipe} is a pipe: not stored`),
      'source "www": 10 more sockets, pipes and devices are not stored',
    ]);
    const metadata = readFileSync(join(site.repositoryDirectory, await newestPath(site), "metadata.json"), "utf8");
    expect(metadata).not.toContain("pipe-");
  });

  it("says how many warnings more there are when a source has too many to be read", async () => {
    const patterns = Array.from({ length: 60 }, (_, index) => `IDLE_${index}`);
    const site = await makeSite({ sources: `  env: {engine: environment, variables: [PATH, ${patterns.join(", ")}]}` });

    const { warnings } = await site.create();

    expect(warnings).toHaveLength(51);
    expect(warnings.at(-1)).toBe('source "env": and 10 more warnings');
  });

  it("leaves nothing in storage when every source fails", async () => {
    const site = await makeSite({ sources: `  broken: {engine: command, command: ["false"]}` });

    await expect(site.create()).rejects.toMatchObject({ code: "SOURCE_FAILED" });

    expect(readdirSync(site.repositoryDirectory)).toEqual(["backupctl.json"]);
    expect((await site.context.catalog("read")).list({}).backups[0]).toMatchObject({ status: "failed" });
  });

  it("does nothing with --if-changed when nothing changed, and a backup when something did", async () => {
    const site = await makeSite({ sources: `  settings: {engine: command, command: ["cat", "{dir}/settings"]}` });
    writeFileSync(join(site.directory, "settings"), "a=1\n");
    await site.create({ type: "configuration" });

    const same = await site.create({ type: "configuration", ifChanged: true });
    writeFileSync(join(site.directory, "settings"), "a=2\n");
    const changed = await site.create({ type: "configuration", ifChanged: true });

    expect(same.created).toBe(false);
    expect(changed).toMatchObject({ created: true, backup: { category: "snapshots" } });
    expect((await site.context.catalog("read")).list({}).total).toBe(2);
  });

  it("takes a tree as unchanged that was made just before its backup, and as changed when a file is gone", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    await site.create();

    const same = await site.create({ ifChanged: true });
    rmSync(join(site.directory, "www/uploads/small.txt"));
    const changed = await site.create({ ifChanged: true, mode: "incremental" });

    expect(same.created).toBe(false);
    expect(changed.created).toBe(true);
  });

  it("refuses --no-encrypt where the config demands encryption", async () => {
    const site = await makeSite({ sources: FILES });
    const { loaded } = site.session;
    Object.assign(loaded.config.encryption, { required: true });

    await expect(site.create({ encrypt: false })).rejects.toMatchObject({ code: "USAGE", exitCode: 2 });
  });

  it("refuses to encrypt where the config has no key", async () => {
    const site = await makeSite({ sources: FILES });
    Object.assign(site.session.loaded.config.encryption, { keys: [] });

    await expect(site.create()).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
  });

  it("refuses --table where no source has tables", async () => {
    const site = await makeSite({ sources: FILES });

    await expect(site.create({ tables: ["orders"] })).rejects.toThrow("--table fits no selected");
  });

  it("compares with the last backup also where the next would begin another chain", async () => {
    const site = await makeSite({
      sources: `  settings: {engine: command, command: ["cat", "{dir}/settings"]}`,
      more: "chain: {max_chain: 2}",
    });
    writeFileSync(join(site.directory, "settings"), "a=1\n");
    await site.create();
    writeFileSync(join(site.directory, "settings"), "a=2\n");
    await site.create({ mode: "incremental" });

    expect(await site.create({ mode: "incremental", ifChanged: true })).toMatchObject({ created: false });
  });

  it("gives the month to the first full that has every source", async () => {
    const site = await makeSite({
      sources: `  app: {engine: command, command: ["cat", "{dir}/app"]}\n${FILES}\n  log: {engine: command, command: ["cat", "{dir}/log"]}`,
    });
    fill(site, 1);
    writeFileSync(join(site.directory, "app"), "a");

    const partial = await site.create();
    const narrowed = await site.create({ sources: ["app", "www"] });
    writeFileSync(join(site.directory, "log"), "l");
    const whole = await site.create();

    expect(partial.backup).toMatchObject({ status: "partial", category: "monthly" });
    expect(narrowed.backup).toMatchObject({ type: "full", category: "daily" });
    expect(whole.backup).toMatchObject({ status: "completed", category: "monthly" });
  });

  it.each([
    ["the level asked for, where the configuration compresses nothing", "none", { compressionLevel: 5 }, "zstd 5"],
    ["the default, where the configuration compresses nothing", "none", { compress: true }, "zstd 3"],
    ["the level asked for", "gzip", { compressionLevel: 9 }, "gzip 9"],
    ["nothing", "gzip", { compress: false }, "none"],
  ])("compresses with %s", async (_, algorithm, request, compression) => {
    const site = await makeSite({ sources: FILES, more: `compression: {algorithm: ${algorithm}}` });

    expect(await planCreate(site.context, { ...NO_CHOICES, ...request })).toMatchObject({ compression });
  });

  it("refuses a level that gzip does not have", async () => {
    const site = await makeSite({ sources: FILES, more: "compression: {algorithm: gzip}" });

    await expect(planCreate(site.context, { ...NO_CHOICES, compressionLevel: 10 })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining('"10" is more than gzip has'),
    });
  });

  it("clears what a dead run of this host left, and marks it failed", async () => {
    const site = await makeSite({ sources: FILES, replica: true });
    fill(site);
    const catalog = await site.context.catalog("write");
    const { id, storagePath } = beginRun(catalog);
    const left = join(site.repositoryDirectory, storagePath, "www.tree.zst.enc.00000000");
    const { temporary } = (await site.context.repository()).state;
    mkdirSync(join(temporary, "of-the-dead"));
    mkdirSync(join(site.repositoryDirectory, storagePath), { recursive: true });
    writeFileSync(left, "half");
    const copy = join(site.directory, "replica", storagePath);
    mkdirSync(copy, { recursive: true });
    writeFileSync(join(copy, "www.tree.zst.enc.00000000"), "half");

    await site.create();

    expect(catalog.get(id)).toMatchObject({ status: "failed", error: { code: "INTERRUPTED" } });
    expect(existsSync(left)).toBe(false);
    expect(existsSync(copy)).toBe(false);
    expect(readdirSync(temporary)).toEqual([]);
  });

  it("clears the empty folder of a run that died before its first object", async () => {
    const site = await makeSite({ sources: FILES });
    fill(site);
    const catalog = await site.context.catalog("write");
    const { storagePath } = beginRun(catalog);
    mkdirSync(join(site.repositoryDirectory, storagePath), { recursive: true });

    await site.create();

    expect(existsSync(join(site.repositoryDirectory, "full/monthly/2026-01-01"))).toBe(false);
  });
});

/** The row of a run of this host that nobody runs any longer. */
function beginRun(catalog: Catalog) {
  const id = "11111111-1111-4111-8111-111111111111" as BackupId;
  const storagePath = "full/monthly/2026-01-01/full-00-00-00-11111111";
  catalog.begin({
    id,
    type: "full",
    mode: "full",
    category: "monthly",
    timestamp: "2026-01-01T00:00:00.000Z",
    host: "test-host",
    createdBy: "tester",
    storagePath,
    parentId: undefined,
    pid: 1,
    tags: [],
    description: undefined,
  });
  return { id, storagePath };
}
