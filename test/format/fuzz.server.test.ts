import * as fs from "node:fs";
import * as path from "node:path";
import fc from "fast-check";
import { afterAll, beforeAll, expect, test } from "vitest";
import { z } from "zod";
import { isFileName } from "../../src/domain/artifact.ts";
import type { BackupId } from "../../src/domain/backup.ts";
import { readArtifact } from "../../src/format/artifact-reader.ts";
import { ChunkTable } from "../../src/format/chunk-table.ts";
import { readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import { openKeysObjects, type WrappingKey } from "../../src/format/keys-object.ts";
import { decodeMetadata, requirePlace, verifyMac } from "../../src/format/metadata.ts";
import { decodeNotes, mergeNotes } from "../../src/format/notes.ts";
import type { PackSource } from "../../src/format/pack-source.ts";
import { loadChunks, ParentEntries } from "../../src/format/parent-index.ts";
import { readProvenRoot } from "../../src/format/proven-root.ts";
import { decodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { encodeRoot, parseRoot } from "../../src/format/root.ts";
import { parseSha256Sums } from "../../src/format/sha256sums.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { decodeParameters } from "../../src/keys/passphrase/parameters.ts";
import { fuzz, jsonText, mutatedBytes, mutatedJson, mutatedLines } from "../helpers/fuzz.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";
import { openFixture } from "./fixture-reader.ts";

/** Whatever lies in storage, every parser of src/format gives a value, or an error that names what is damaged. */

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const OPEN = path.join(FIXTURES, "open-zstd");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";
const FULL = "full/monthly/2026-01-11/full-02-00-00-6ab51e2a";
const SEALED = "full/incremental/2026-01-11/incremental-03-00-00-8654e6f3";

const directory = suiteTempDir();
let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

function object(name: string, folder = path.join(OPEN, DIRECTORY)): Buffer {
  return fs.readFileSync(path.join(folder, name));
}

function named(pattern: RegExp, folder: string): string {
  return fs.readdirSync(folder).find((name) => pattern.test(name)) ?? "";
}

/** A JSON object with strange members, or with strange bytes. */
function strangeObject(bytes: Buffer): fc.Arbitrary<Buffer> {
  const structured = mutatedJson(JSON.parse(bytes.toString("utf8"))).map((value) => Buffer.from(jsonText(value)));
  return fc.oneof({ weight: 3, arbitrary: structured }, { weight: 1, arbitrary: mutatedBytes(bytes) });
}

test("metadata", async () => {
  await fuzz(strangeObject(object("metadata.json")), (bytes) => {
    const decoded = decodeMetadata(bytes, DIRECTORY);
    verifyMac(decoded, undefined);
    verifyMac(decoded, Buffer.alloc(32));
    requirePlace(decoded.metadata, { storagePath: DIRECTORY, repositoryId: decoded.metadata.repository_id });
  });
});

test("keys objects", async () => {
  const folder = path.join(FIXTURES, "sealed-gzip", SEALED);
  const name = named(/^keys-/, folder);
  const { backup_id: backupId, key_id: keyId } = z
    .object({ backup_id: z.custom<BackupId>(), key_id: z.string() })
    .parse(JSON.parse(object(name, folder).toString("utf8")));
  const keys = ["local", "passphrase"].map(
    (provider): WrappingKey => ({
      provider,
      name: "main",
      seal: async () => ({ secret: Buffer.alloc(32), parameters: {} }),
      open: async (parameters) => (provider === "local" ? undefined : decodeParameters(parameters).salt),
    }),
  );
  await fuzz(strangeObject(object(name, folder)), (bytes) =>
    openKeysObjects([{ name, bytes }], { backupId, keyId }, keys),
  );
});

test("notes", async () => {
  const { metadata } = decodeMetadata(object("metadata.json"), DIRECTORY);
  const name = named(/^notes-/, path.join(OPEN, DIRECTORY));
  const now = { at: "2026-01-11T03:00:00.000Z" };
  const full = {
    ...JSON.parse(object(name).toString("utf8")),
    hold: { ...now, reason: "audit", by: "me" },
    tags: ["a"],
    description: "d",
    retention_until: now.at,
    quarantine: { ...now, reason: "r" },
    verified: { ...now, depth: "deep", passed: true, host: "h" },
  };
  await fuzz(fc.array(strangeObject(Buffer.from(jsonText(full))), { maxLength: 3 }), (all) => {
    const decoded = all.map((bytes) => decodeNotes({ name, bytes }, metadata, undefined));
    mergeNotes(decoded, metadata.retention_until);
    mergeNotes(
      decoded.map((notes) => ({ ...notes, verified: true })),
      metadata.retention_until,
    );
  });
});

test("the marker", async () => {
  await fuzz(strangeObject(fs.readFileSync(path.join(OPEN, "backupctl.json"))), (bytes) =>
    decodeRepositoryMarker(bytes, "storage"),
  );
});

test("SHA256SUMS", async () => {
  await fuzz(mutatedBytes(object("SHA256SUMS")), (bytes) => parseSha256Sums(bytes, DIRECTORY));
});

test("roots", async () => {
  const backup = await openFixture(OPEN, DIRECTORY, { keys: [], pool });
  const { root } = await backup.source("notes", tempDir());
  const chunks = root.chunks.map((chunk) => JSON.stringify(Object.values(chunk)));
  const lines = encodeRoot({ ...root, chunks })
    .toString("utf8")
    .trimEnd()
    .split("\n");

  await fuzz(mutatedLines(lines), parseRoot);
});

test.each(["notes", "app"])("the index of %s, to restore from and as a parent", async (name) => {
  const backup = await openFixture(OPEN, DIRECTORY, { keys: [], pool });
  const { indexFile } = await backup.source(name, tempDir());
  const lines = fs.readFileSync(indexFile, "utf8").trimEnd().split("\n");
  const file = path.join(directory, `${name}.strange`);

  await fuzz(
    mutatedLines(lines),
    (bytes) => fs.writeFileSync(file, bytes),
    () => [...readTreeIndex(file)],
    () => [...readTreeIndex(file, () => false)],
    () => [...readTreeIndex(file, ({ length }) => length % 2 === 0)],
    () => expect(readStreamIndex(file, "sqlite").entries.filter((entry) => !isFileName(entry.name))).toEqual([]),
    () => readStreamIndex(file, "pgdump"),
    () => loadChunks(file, new ChunkTable(directory)),
    () => readAsParent(file),
  );
});

function readAsParent(file: string): void {
  const parent = new ParentEntries(file);
  try {
    parent.countUnmatched();
  } finally {
    parent.close();
  }
}

/** A storage where one object of the backup has other bytes. */
function storageWith(folder: string, name: string, bytes: Buffer): PackSource {
  return {
    async get(_, wanted, offset, length) {
      const file = path.join(folder, wanted);
      if (wanted === name) return Buffer.from(bytes.subarray(offset, offset + length));
      return fs.existsSync(file) ? fs.readFileSync(file).subarray(offset, offset + length) : undefined;
    },
    dataKey: async () => undefined,
  };
}

test("packs", async () => {
  const folder = path.join(OPEN, FULL);
  const { metadata } = decodeMetadata(object("metadata.json", folder), FULL);
  const data = metadata.sources.find(({ name }) => name === "app")?.data;
  const pack = object("app.sqlite.zst.00000000", folder);

  await fuzz(mutatedBytes(pack), async (bytes) => {
    const artifact = { name: data?.name ?? "", artifact_id: data?.artifact_id ?? "", packs: [bytes.length] };
    const source = storageWith(folder, "app.sqlite.zst.00000000", bytes);
    for await (const _ of readArtifact(metadata.id, artifact, false, source, pool));
  });
});

test("what metadata say of a source, with its root as it lies there", async () => {
  const bytes = object("metadata.json");
  await fuzz(strangeObject(bytes), async (strange) => {
    const { metadata } = decodeMetadata(strange, DIRECTORY);
    for (const source of metadata.sources) {
      const packs = storageWith(path.join(OPEN, DIRECTORY), "", bytes);
      if (source.root !== undefined) await readProvenRoot(metadata, { ...source, root: source.root }, packs, pool);
    }
  });
});
