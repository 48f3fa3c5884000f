import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { makeDataKey } from "../../src/format/data-key.ts";
import { buildKeysObject, type WrappingKey } from "../../src/format/keys-object.ts";
import { LineReader } from "../../src/format/line-reader.ts";
import { LineWriter } from "../../src/format/line-writer.ts";
import { encodeNotes } from "../../src/format/notes.ts";
import { encodeRoot } from "../../src/format/root.ts";
import { backupId } from "../domain/builders.ts";
import { createOne, objectsIn, openSite } from "../helpers/open-site.ts";
import { tempDir } from "../helpers/temp-dir.ts";

/** What readers refuse for its size is not written: each of them says so before it is stored. */

const TOO_LARGE = {
  code: "BACKUP_FAILED",
  message: expect.stringMatching(/more than the \d+ MiB that can be read again/),
};
const MIB = 2 ** 20;

test("metadata.json: the backup fails, and nothing of it is left", async () => {
  const site = await openSite();

  await expect(createOne(site, { description: "a".repeat(64 * MIB) })).rejects.toMatchObject(TOO_LARGE);

  expect(objectsIn(site)).toEqual([]);
  expect((await site.operations.list({ limit: 9, offset: 0 })).backups).toMatchObject([{ status: "failed" }]);
});

test("notes: a hold with a reason of more than a mebibyte", async () => {
  const site = await openSite();
  const { id } = await createOne(site);

  await expect(site.operations.hold(id, "a".repeat(MIB))).rejects.toMatchObject(TOO_LARGE);

  expect(objectsIn(site).filter((key) => key.includes("/notes-"))).toEqual([]);
  expect(encodeNotes({ backupId: backupId(1), n: 1, notes: {}, macKey: undefined }).bytes.length).toBeLessThan(MIB);
});

function keyNamed(name: string, parameters = {}): WrappingKey {
  return {
    provider: "local",
    name,
    seal: async () => ({ secret: Buffer.alloc(32), parameters }),
    open: async () => undefined,
  };
}

test.each([
  ["more than 256 keys", Array.from({ length: 257 }, (_, i) => keyNamed(`${i}`))],
  ["a key with a name of more than 256 characters", [keyNamed("a".repeat(257))]],
  ["more than a mebibyte", Array.from({ length: 20 }, (_, i) => keyNamed(`${i}`, { a: "a".repeat(65_000) }))],
])("keys: %s", async (_, providers) => {
  const request = { n: 1, backupId: backupId(1), dataKey: makeDataKey(), providers };

  await expect(buildKeysObject(request)).rejects.toMatchObject({
    code: "BACKUP_FAILED",
    message: expect.stringContaining("be read again"),
    hint: expect.stringContaining("encryption.keys"),
  });
});

test("a line of an index: one of 64 MiB is read again, a longer one is not written", () => {
  const file = join(tempDir(), "index");
  const writer = new LineWriter(file);
  const longest = "a".repeat(64 * MIB);

  writer.write(`short\n${longest}\n`);
  expect(() => writer.write(`{"name":"some file","xattrs":"${longest}"}\n`)).toThrow(
    /more than the 64 MiB .*"some file"/,
  );
  writer.close();

  const reader = new LineReader(file);
  expect([reader.next()?.length, reader.next()?.length, reader.next()]).toEqual([5, 64 * MIB, undefined]);
  reader.close();
  expect(readFileSync(file).length).toBe(64 * MIB + 7);
});

test("a root", () => {
  const chunks = Array.from({ length: 100 }, () => "a".repeat(3 * MIB));
  const facts = { backupId: backupId(1), source: "www", kind: "tree", lineage: [], objects: [] };
  const root = { ...facts, chunks, indexSize: 0, indexSha256: "", size: 0 };

  expect(() => encodeRoot(root)).toThrow(expect.objectContaining(TOO_LARGE));
});
