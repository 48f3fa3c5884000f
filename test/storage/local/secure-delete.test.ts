import { existsSync, linkSync, openSync, readdirSync, readFileSync, readSync, renameSync, utimesSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { openLocalStorage } from "../../../src/storage/local/storage.ts";
import type { ProbeResult, Storage } from "../../../src/storage/storage.ts";
import { noise } from "../../helpers/bytes.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const KEY = "full/daily/2026-01-11/full-02-00-00-550e8400/app.pgdump.zst.enc.00000000";
const BYTES = noise(700_000);

async function stored(secureDelete: boolean) {
  const directory = tempDir();
  const options = secureDelete ? { path: directory, secure_delete: true } : { path: directory };
  const storage = await openLocalStorage(options, { name: "main" });
  await storage.put(KEY, BYTES);
  return { directory, storage, file: join(directory, KEY) };
}

/** What lies on the disk still when the name is gone: who has it open sees it. */
function contentOf(descriptor: number): Buffer {
  const bytes = Buffer.alloc(BYTES.length);
  readSync(descriptor, bytes, 0, bytes.length, 0);
  return bytes;
}

async function probed(storage: Storage): Promise<readonly ProbeResult[]> {
  const results: ProbeResult[] = [];
  for await (const result of storage.probe?.("scratch") ?? []) results.push(result);
  return results;
}

it.each([
  [true, Buffer.alloc(BYTES.length)],
  [false, BYTES],
])("with secure_delete: %s, what was removed holds that", async (secureDelete, content) => {
  const { directory, storage, file } = await stored(secureDelete);
  const descriptor = openSync(file, "r");

  await storage.remove(KEY);

  expect(contentOf(descriptor).equals(content)).toBe(true);
  expect(readdirSync(directory)).toEqual([]);
});

it("overwrites what a removal that was killed had left, when that is swept", async () => {
  const { directory, storage, file } = await stored(true);
  const part = join(dirname(file), ".part-0123456789abcdef01234567");
  renameSync(file, part);
  utimesSync(part, 0, 0);
  const descriptor = openSync(part, "r");

  for await (const _ of storage.list(""));

  expect(contentOf(descriptor).equals(Buffer.alloc(BYTES.length))).toBe(true);
  expect(readdirSync(directory)).toEqual([]);
});

it("spares the bytes of a file that has another name, which somebody gave it", async () => {
  const { directory, storage, file } = await stored(true);
  const copy = join(directory, "copy");
  linkSync(file, copy);

  await storage.remove(KEY);

  expect(existsSync(file)).toBe(false);
  expect(readFileSync(copy).equals(BYTES)).toBe(true);
});

it("removes what is not there, and says in a check whether it helps on this medium", async () => {
  const { storage } = await stored(true);

  await storage.remove(KEY);
  await storage.remove(KEY);
  const results = await probed(storage);

  expect(results).toMatchObject([{ what: expect.stringContaining("secure_delete") }]);
  expect(["works", "absent"]).toContain(results[0]?.outcome);
});

it("tries nothing where it is not asked for", async () => {
  const { storage } = await stored(false);

  expect(await probed(storage)).toEqual([]);
});
