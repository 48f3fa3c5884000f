import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { sha256Hex } from "../../../src/format/workers/hashing.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { addFile, createOne, openSite, WWW } from "../../helpers/open-site.ts";
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

it.each(Object.entries(STRANGE))(
  "where it is proven and has %s, all of it is stored anew, and that is said",
  async (_, line) => {
    const site = await openSite({ sources: SOURCES });
    const { id } = await createOne(site);
    const indexes = join((await statePaths(site.session)).indexes, id);
    const catalog = await site.context.catalog("write");
    for (const source of ["www", "list"]) {
      const recorded = catalog.indexCache(id, source);
      if (recorded === undefined) throw new Error("no index is kept");
      writeFileSync(join(indexes, `${source}.index`), `${line}\n`);
      catalog.setIndexCache({ ...recorded, indexSha256: sha256Hex(Buffer.from(`${line}\n`)) });
    }

    const { backup, warnings } = await site.create({ mode: "incremental" });

    expect(warnings.join("\n")).toMatch(/www\.tree\.index\S* can't be read, so all of source "www" is stored anew/);
    expect(backup?.status).toBe("completed");
    const to = join(site.directory, "to");
    await restore(site.operations, { reference: backup?.id ?? "", to });
    expect(readFileSync(join(to, "www", site.directory, "www/index.html"), "utf8")).toContain("hello");
  },
);
