import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { sha256Hex } from "../../../src/format/workers/hashing.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { addFile, createOne, type OpenSite, objectsIn, openSite, WWW, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";
import { restore } from "../restore/tools.ts";

const SOURCES = `${WWW}
  list: {engine: command, command: "seq 1 200000"}`;

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  writeFileSync(file, bytes);
}

it.each([
  ["index", "packs", {}],
  ["root", "packs", {}],
  ["index", "packs without encryption", { keyless: true }],
  ["root", "packs without encryption", { keyless: true }],
])(
  "where the %s of the parent is damaged in its %s and nobody has a copy, all of it is stored anew",
  async (part, _, options) => {
    const site = await openSite({ sources: SOURCES, ...options });
    await createOne(site);
    const directory = await site.backupDirectory();
    const packs = readdirSync(directory).filter((name) => name.includes(`.${part}.`));
    expect(packs).toHaveLength(2);
    for (const pack of packs) flip(join(directory, pack), 60);
    rmSync((await statePaths(site.session)).indexes, { recursive: true });
    addFile(site);
    const operations = await site.reopen();

    const { backup, warnings } = await operations.create({ ...NO_CHOICES, mode: "incremental" });

    for (const pack of packs) expect(warnings.join("\n")).toContain(pack);
    const to = join(site.directory, "to");
    await restore(operations, { reference: backup?.id ?? "", to });
    expect(readFileSync(join(to, "www", site.directory, "www/index.html"), "utf8")).toContain("hello");
  },
);

/** As a release with a mistake, or who has the key, would have written it. */
const STRANGE = {
  "an entry that ends inside its name": '{"name":"x',
  "a chunk without a place": `{"chunks":[["${"0".repeat(64)}",1,0,0,28,0,0]]}`,
  "a line that is too long": `{"name":"x","xattrs":{"user.a":"${"a".repeat(64 * 2 ** 20)}`,
};

/** Makes a backup whose indexes are `change` of what they were. */
async function makeStrange(site: OpenSite, change: (index: string) => string): Promise<void> {
  const { id } = await createOne(site);
  const indexes = join((await statePaths(site.session)).indexes, id);
  const catalog = await site.context.catalog("write");
  for (const source of ["www", "list"]) {
    const recorded = catalog.indexCache(id, source);
    if (recorded === undefined) throw new Error("no index is kept");
    const file = join(indexes, `${source}.index`);
    const index = change(readFileSync(file, "utf8"));
    writeFileSync(file, index);
    catalog.setIndexCache({ ...recorded, indexSha256: sha256Hex(Buffer.from(index)) });
  }
}

it.each(Object.entries(STRANGE))(
  "where it is proven and has %s, all of it is stored anew, and that is said",
  async (_, line) => {
    const site = await openSite({ sources: SOURCES });
    await makeStrange(site, () => `${line}\n`);

    const { backup, warnings } = await site.create({ mode: "incremental" });

    expect(warnings.join("\n")).toMatch(/www\.tree\.index\S* can't be read, so all of source "www" is stored anew/);
    expect(backup?.status).toBe("completed");
    const to = join(site.directory, "to");
    await restore(site.operations, { reference: backup?.id ?? "", to });
    expect(readFileSync(join(to, "www", site.directory, "www/index.html"), "utf8")).toContain("hello");
  },
);

it("where the storage lets go of nothing that was stored on top of it, a full backup is made, and that is said", async () => {
  const site = await openSite({ sources: SOURCES });
  const strange = STRANGE["an entry that ends inside its name"];
  await makeStrange(site, (index) => index.replace(/(.*\n)$/, `${strange}\n$1`));
  // Before all others: some of it is stored when the index is read so far.
  addFile(site, "a", 80_000_000);
  const denied = new BackupctlError("STORAGE_DENIED", 'storage "local" permits no delete');
  const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(denied));

  const { backup, warnings, plan } = await operations.create({ ...NO_CHOICES, mode: "incremental" });

  expect(backup).toMatchObject({ status: "completed", mode: "full" });
  expect(plan.mode).toBe("full");
  expect(warnings.join("\n")).toMatch(
    /www\.tree\.index\S* can't be read, so a full backup is made in a place of its own/,
  );
  const to = join(site.directory, "to");
  await restore(operations, { reference: backup?.id ?? "", to });
  expect(readFileSync(join(to, "www", site.directory, "www/index.html"), "utf8")).toContain("hello");
  await createOne(site);
  const { backups } = await site.operations.list({ limit: 9, offset: 0 });
  const failed = backups.filter(({ status }) => status === "failed");
  expect(failed).toHaveLength(1);
  expect(objectsIn(site).filter((key) => key.includes(failed[0]?.id.slice(0, 8) ?? "none"))).toEqual([]);
});
