import { closeSync, mkdirSync, mkdtempSync, openSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { findAttributes, sizeOfAttributes, writeAttributes } from "../../../src/platform/extended-attributes.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { restore } from "./tools.ts";

/** Small files whose extended attributes are much larger than they are. tmpfs takes such ones; ext4 has no room for them. */

const VALUE = Buffer.alloc(60_000, "attribute").toString("base64");

function folderInMemory(): string {
  const folder = mkdtempSync("/dev/shm/backupctl-attributes-");
  onTestFinished(() => rmSync(folder, { recursive: true }));
  return folder;
}

function setAttributes(file: string, names: readonly string[]): void {
  const fd = openSync(file, "r+");
  const failed = writeAttributes(fd, Object.fromEntries(names.map((name) => [name, VALUE])));
  closeSync(fd);
  expect(failed).toEqual([]);
}

function attributesOf(file: string) {
  const fd = openSync(file, "r");
  const found = findAttributes(fd);
  closeSync(fd);
  return "attributes" in found ? found.attributes : undefined;
}

const canStore = requireOrSkip("large-attributes");

test.runIf(canStore).each([
  ["700 files with 60 kB each", 700, ["user.a"]],
  ["three files with 6 MB each", 3, Array.from({ length: 100 }, (_, i) => `user.${i}`)],
])(
  "%s are backed up, compared and restored",
  async (_, files, names) => {
    const memory = folderInMemory();
    const site = await openSite({ sources: `  www: {engine: files, paths: ["${memory}/www"]}`, more: "workers: 2" });
    mkdirSync(join(memory, "www"));
    for (let i = 0; i < files; i++) {
      writeFileSync(join(memory, "www", `${i}`), `file ${i}`);
      setAttributes(join(memory, "www", `${i}`), names);
    }
    const { id } = await createOne(site);
    await createOne(site, { mode: "incremental" });
    const to = join(memory, "to");

    await restore(site.operations, { reference: id, to });
    const verified = await site.operations.verify({
      reference: id,
      all: false,
      deep: true,
      quick: false,
      components: [],
    });

    expect(verified.passed).toBe(true);
    for (const i of [0, files - 1]) {
      const restored = join(to, memory, "www", `${i}`);
      expect(readFileSync(restored, "utf8")).toBe(`file ${i}`);
      const found = attributesOf(restored);
      expect(sizeOfAttributes(found)).toBeGreaterThan(names.length * 60_000);
      expect(Object.keys(found ?? {}).sort()).toEqual([...names].sort());
    }
  },
  90_000,
);
