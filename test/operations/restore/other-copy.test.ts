import { existsSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { addFile, createOne, type OpenSite, openSite, withFaults } from "../../helpers/open-site.ts";
import { download, namesIn, restore, www } from "./tools.ts";

const LARGE = 20_000_000;

interface TwoCopies {
  readonly site: OpenSite;
  readonly to: string;
  /** Of the newest backup, and of the one that it builds on. */
  readonly directory: string;
  readonly ancestor: string;
  readonly fullId: string;
}

/** An incremental and its full backup, whole in `local` and in `second`. */
async function twoCopies(more = ""): Promise<TwoCopies> {
  const site = await openSite({ replica: true, more });
  addFile(site, "large.bin", LARGE);
  const { id: fullId } = await createOne(site);
  const ancestor = await site.backupDirectory();
  addFile(site, "added.bin", 2_000_000);
  await createOne(site, { mode: "incremental" });
  return { site, to: join(site.directory, "out"), directory: await site.backupDirectory(), ancestor, fullId };
}

function inSecond({ site }: TwoCopies, directory: string): string {
  return directory.replace(site.repositoryDirectory, join(site.directory, "replica"));
}

function find(directory: string, pattern: RegExp): string {
  const name = readdirSync(directory).find((candidate) => pattern.test(candidate));
  if (name === undefined) throw new Error(`nothing like ${pattern} in ${directory}`);
  return join(directory, name);
}

const DATA = /^www\.tree\.zst(\.enc)?\.00000000$/;

function flip(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  writeFileSync(file, bytes);
}

const cut = (file: string): void => writeFileSync(file, readFileSync(file).subarray(0, 200_000));
const empty = (file: string): void => writeFileSync(file, "");
const lose = (file: string): void => rmSync(file);

async function damagedIn(operations: Operations, id: string): Promise<readonly string[]> {
  const { copies } = await operations.show(id);
  return copies.filter(({ state }) => state === "damaged").map(({ storage }) => storage);
}

function expectAllOf({ site, to }: TwoCopies): void {
  const restored = join(to, www(site));
  expect(namesIn(restored)).toEqual(namesIn(www(site)));
  for (const name of ["large.bin", "added.bin", "uploads/large.bin"])
    expect(readFileSync(join(restored, name)).equals(readFileSync(join(www(site), name)))).toBe(true);
}

/** This host's own copies of indexes would be read instead of the stored ones. */
async function withoutIndexes(site: OpenSite): Promise<Operations> {
  const { state } = await site.context.repository();
  rmSync(state.indexes, { recursive: true });
  return site.reopen();
}

describe("a restore reads from the other copy", () => {
  it.each([
    [
      "a block of a pack that is damaged",
      "ancestor",
      DATA,
      flip,
      /www\.tree\.zst\.enc\.00000000, block at \d+: .*storage "local"/,
    ],
    [
      "what a pack that is cut has lost",
      "ancestor",
      DATA,
      cut,
      /www\.tree\.zst\.enc\.00000000 is cut: .*storage "local"/,
    ],
    ["an empty pack", "ancestor", DATA, empty, /00000000 is cut.*storage "local"/],
    ["a pack that is gone", "directory", DATA, lose, /www\.tree\.zst\.enc\.00000000 is missing \(storage "local"\)/],
    ["a root that is damaged", "directory", /\.root\./, flip, /\.root\..*storage "local"/],
    ["an index that is damaged", "directory", /\.index\./, flip, /\.index\..*storage "local"/],
    ["a keys object that is gone", "directory", /^keys-/, lose, /^the copy in storage "local" is not used: .*keys/],
    ["a keys object that is damaged", "directory", /^keys-/, empty, /^the copy in storage "local" is not used: .*keys/],
    [
      "metadata that are damaged",
      "directory",
      /^metadata\.json$/,
      empty,
      /^the copy in storage "local" is not used: .*metadata/,
    ],
  ] as const)("%s, and says so once", async (_, where, pattern, damage, said) => {
    const made = await twoCopies();
    const { site, to } = made;
    damage(find(made[where], pattern));
    const operations = await withoutIndexes(site);
    site.warnings.length = 0;

    const result = await restore(operations, { latest: true, to });

    expect(result.sources).toMatchObject([{ status: "completed" }]);
    expectAllOf(made);
    const warnings = [...site.warnings, ...result.warnings].filter((line) => said.test(line));
    expect(warnings).toEqual([expect.stringMatching(/`backupctl verify \w{8} --storage local --repair` mends it$/)]);
    const id = where === "ancestor" ? made.fullId : result.backupId;
    expect(await damagedIn(operations, id)).toEqual(["local"]);
  });

  it.each([/^keys-/, /^metadata\.json$/])("what an ancestor lacks, and says so once: %s", async (pattern) => {
    const made = await twoCopies();
    const { site, fullId } = made;
    lose(find(made.ancestor, pattern));

    await restore(site.operations, { latest: true, to: made.to });

    expectAllOf(made);
    const mend = `\`backupctl verify ${fullId.slice(0, 8)} --storage local --repair\` mends it`;
    expect(site.warnings.filter((line) => line.includes(fullId))).toEqual([
      expect.stringMatching(`^ancestor ${fullId}: the copy in storage "local" is not used: .*; ${mend}$`),
    ]);
    expect(await damagedIn(site.operations, fullId)).toEqual(["local"]);
  });

  it.each(["directory", "ancestor"] as const)("a whole %s that is gone, and remembers it", async (where) => {
    const made = await twoCopies();
    const { site, fullId } = made;
    rmSync(made[where], { recursive: true });

    const { backupId } = await restore(site.operations, { latest: true, to: made.to });

    expectAllOf(made);
    expect(await damagedIn(site.operations, where === "ancestor" ? fullId : backupId)).toEqual(["local"]);
  });

  it.each(["directory", "ancestor"] as const)("metadata, and keys from yet another one, in the %s", async (where) => {
    const made = await twoCopies();
    const { site, fullId } = made;
    empty(find(made[where], /^metadata\.json$/));
    lose(find(inSecond(made, made[where]), /^keys-/));

    const { backupId } = await restore(site.operations, { latest: true, to: made.to });

    expectAllOf(made);
    const id = where === "ancestor" ? fullId : backupId;
    expect(await damagedIn(site.operations, id)).toEqual(["local", "second"]);
  });

  it("sums of a backup that is not encrypted", async () => {
    const site = await openSite({ replica: true, more: "" });
    await createOne(site, { encrypt: false });
    empty(join(await site.backupDirectory(), "SHA256SUMS"));
    const operations = await withoutIndexes(site);
    const { id } = (await operations.list({ limit: 1, offset: 0 })).backups[0] ?? { id: "" };

    await restore(operations, { reference: id, to: join(site.directory, "out"), allowUnencrypted: id });

    expect(namesIn(join(site.directory, "out", www(site)))).toEqual(namesIn(www(site)));
    expect(site.warnings).toContainEqual(expect.stringMatching(/SHA256SUMS does not match.*storage "local"/));
  });

  it("as long as each object is sound in one of them", async () => {
    const made = await twoCopies();
    flip(find(made.ancestor, DATA));
    lose(find(inSecond(made, made.directory), DATA));
    flip(find(made.directory, /\.root\./));
    flip(find(inSecond(made, made.directory), /\.index\./));
    const operations = await withoutIndexes(made.site);

    await restore(operations, { latest: true, to: made.to });

    expectAllOf(made);
  });

  it("and touches nothing where none of them is sound", async () => {
    const made = await twoCopies();
    flip(find(made.ancestor, DATA));
    flip(find(inSecond(made, made.ancestor), DATA));

    const restored = restore(made.site.operations, { latest: true, to: made.to });

    await expect(restored).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      exitCode: 4,
      message: expect.stringMatching(/www\.tree\.zst\.enc\.00000000, block at .* \(storage "local"\)$/),
      lines: [expect.stringMatching(/www\.tree\.zst\.enc\.00000000, block at .* \(storage "second"\)$/)],
    });
    expect(existsSync(made.to)).toBe(false);
    expect(made.site.warnings.filter((line) => line.includes("another copy"))).toEqual([]);
    expect(await damagedIn(made.site.operations, made.fullId)).toEqual(["local", "second"]);
  });

  it.each([
    ["a block", DATA, flip, /block at .* \(storage "local"\)$/, []],
    ["a pack that is gone", DATA, lose, /00000000 is missing \(storage "local"\)$/, []],
    ["metadata", /^metadata\.json$/, empty, /^metadata\.json of .* is damaged/, [/^storage "second" has no copy of /]],
  ] as const)("but from none that is still to come: %s", async (_, pattern, damage, message, lines) => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    damage(find(await site.backupDirectory(), pattern));

    const restored = restore(site.operations, { reference: id, to: join(site.directory, "out") });

    await expect(restored).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringMatching(message),
      lines: lines.map((line) => expect.stringMatching(line)),
    });
    expect(site.warnings.filter((line) => /another copy|second/.test(line))).toEqual([]);
    expect(await damagedIn(site.operations, id)).toEqual(["local"]);
  });

  it("as an ancestor has it, where what builds on that is still to come", async () => {
    const site = await openSite({ replica: true });
    const { id: fullId } = await createOne(site);
    const full = await site.backupDirectory();
    addFile(site);
    await createOne(site, { mode: "incremental", storages: ["local"] });
    flip(find(full, DATA));

    await restore(site.operations, { latest: true, to: join(site.directory, "out") });

    expect(namesIn(join(site.directory, "out", www(site)))).toEqual(namesIn(www(site)));
    expect(await damagedIn(site.operations, fullId)).toEqual(["local"]);
  });

  it("and says of a primary that goes away, with a copy that is still to come, that it is away", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { storages: ["local"] });
    const away = new BackupctlError("STORAGE_FAILED", 'storage "local": the connection was reset', { retryable: true });
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "local") storage.onKey("get", /\/www\.tree\.zst/).fail(away);
    });

    const restored = restore(operations, { reference: id, to: join(site.directory, "out") });

    await expect(restored).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  it("when a storage breaks down in the middle, which is said once", async () => {
    const made = await twoCopies();
    const away = new BackupctlError("STORAGE_FAILED", 'storage "local": the connection was reset', { retryable: true });
    const operations = await withFaults(made.site, (storage) => {
      if (storage.name !== "local") return;
      for (const call of Array.from({ length: 200 }, (_, i) => i + 12)) storage.onCall("get", call).fail(away);
    });

    await restore(operations, { latest: true, to: made.to });

    expectAllOf(made);
    expect(made.site.warnings.filter((line) => line.includes("is left out"))).toEqual([
      'storage "local" is left out: the connection was reset',
    ]);
  });

  it("and of damage in one and a storage that is away it tells the damage", async () => {
    const made = await twoCopies();
    flip(find(made.ancestor, DATA));
    renameSync(join(made.site.directory, "replica"), join(made.site.directory, "unplugged"));

    const restored = restore(await made.site.reopen(), { latest: true, to: made.to });

    await expect(restored).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
    expect(made.site.warnings).toContainEqual(expect.stringMatching(/^storage "second" is left out: /));
  });
});

describe("a pack that is gone from one copy, while another one is damaged in the other,", () => {
  const PACKS = ["www.tree.zst.enc.00000000", "www.tree.zst.enc.00000001"] as const;

  async function damagedInBoth(): Promise<OpenSite> {
    const site = await openSite({ replica: true });
    addFile(site, "large.bin", LARGE);
    await createOne(site);
    const directory = await site.backupDirectory();
    lose(join(directory, PACKS[1]));
    flip(join(directory.replace(site.repositoryDirectory, join(site.directory, "replica")), PACKS[0]));
    return site;
  }

  it("keeps neither a restore nor a download from all of it", async () => {
    const site = await damagedInBoth();
    const to = join(site.directory, "out");

    await restore(site.operations, { latest: true, to });
    await download(site.operations, { to: `${to}-files` });

    expect(readFileSync(join(to, www(site), "large.bin")).equals(readFileSync(join(www(site), "large.bin")))).toBe(
      true,
    );
    // The second one reads first from the copy that is not known to be damaged.
    expect(site.warnings).toEqual([
      expect.stringMatching(`${PACKS[1]} is missing \\(storage "local"\\); another copy is read instead`),
      expect.stringMatching(`${PACKS[0]}, block at .*\\(storage "second"\\); another copy is read instead`),
    ]);
  });

  it("is mended by the repair that a verification names", async () => {
    const site = await damagedInBoth();
    const verify = { reference: "latest", all: false, deep: false, quick: false, components: [] };

    const { backups } = await site.operations.verify(verify);

    expect(backups.map(({ passed }) => passed)).toEqual([false, false]);
    for (const { backupId, recommendations } of backups)
      expect(recommendations).toContainEqual(
        `Other copies are damaged, too, but what one has lost another may have: \`backupctl verify ${backupId.slice(0, 8)} --repair\`.`,
      );
    const reference = backups[0]?.backupId;
    expect(await site.operations.verify({ ...verify, reference, repair: true })).toMatchObject({ passed: true });
  });
});

it("a download reads from the other copy what is damaged in one", async () => {
  const made = await twoCopies();
  flip(find(made.ancestor, DATA));

  const { files } = await download(made.site.operations, { to: made.to });

  expect(files).toMatchObject([{ source: "www" }]);
  expect(made.site.warnings).toContainEqual(expect.stringMatching(/00000000, block at .*storage "local"/));
});

it("an incremental is compared with the index in the other copy where one is damaged", async () => {
  const made = await twoCopies();
  flip(find(made.directory, /\.index\./));
  const operations = await withoutIndexes(made.site);

  const request = { components: [], sources: [], categories: [], tables: [], tags: [], storages: [] };
  const { sources } = await operations.create({
    ...request,
    mode: "incremental",
    ifChanged: false,
    manual: false,
    lockWaitMs: 0,
  });

  expect(sources[0]?.newBytes).toBeLessThan(1_000_000);
});
