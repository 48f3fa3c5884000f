import { createDecipheriv, createHash, hkdfSync } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { type BackupId, isBackupId } from "../../src/domain/backup.ts";
import { encodePackHeader, openBlock, type PackSeal, sealBlock } from "../../src/format/block.ts";
import { canonicalJson } from "../../src/format/canonical-json.ts";
import { dataChunksAt, GEAR, INDEX_CHUNKS } from "../../src/format/chunker.ts";
import { artifactKey, idBytes, keyId, metadataKey, openDataKey } from "../../src/format/data-key.ts";
import { encodeDeletionMark } from "../../src/format/deletion-mark.ts";
import { readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import { openKeysObjects } from "../../src/format/keys-object.ts";
import { macOf } from "../../src/format/mac.ts";
import { decodeMetadata, encodeMetadata, verifyMac } from "../../src/format/metadata.ts";
import { decodeNotes } from "../../src/format/notes.ts";
import { parseJsonObject } from "../../src/format/parse-json.ts";
import { decodeRepositoryMarker, encodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { encodeRoot, parseRoot } from "../../src/format/root.ts";
import { encodeSha256Sums, parseSha256Sums } from "../../src/format/sha256sums.ts";
import { writeStreamSource } from "../../src/format/source-writer.ts";
import { statPart, treeLines } from "../../src/format/tree-line.ts";
import { ChunkCollector, cut } from "../../src/format/workers/scanning.ts";
import { keyProviderDefinitions } from "../../src/keys/registry.ts";
import { formatRun, openPool } from "../helpers/format-run.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { type CodeBlock, codeBlocks } from "./commands.ts";

/** The test vectors of docs/format.md, as somebody finds them who writes a reader from it. */

const DOCUMENT = readFileSync(join(import.meta.dirname, "../../docs/format.md"), "utf8");
const keys = values("Keys");
const backupId = requireId(text(keys, "backup id"));
const dataKey = hex(keys, "data key");
const artifactId = hex(keys, "artifact id");

function blocksOf(title: string): readonly CodeBlock[] {
  const vectors = DOCUMENT.slice(DOCUMENT.indexOf("\n## Test vectors\n"));
  const start = vectors.indexOf(`\n### ${title}\n`);
  if (start < 0) throw new Error(`docs/format.md has no test vectors "${title}"`);
  const end = vectors.indexOf("\n### ", start + 1);
  return codeBlocks(vectors.slice(start, end < 0 ? undefined : end));
}

/** The lines `name = value` of a section; indented lines go on with the value. */
function values(title: string): ReadonlyMap<string, string> {
  const lines = blocksOf(title)
    .filter(({ language }) => language === "text")
    .flatMap((block) =>
      block.text
        .replaceAll(/\n {2}/g, "")
        .trimEnd()
        .split("\n"),
    );
  return new Map(lines.map((line) => [line.slice(0, line.indexOf(" =")), line.slice(line.indexOf(" =") + 2).trim()]));
}

function text(from: ReadonlyMap<string, string>, name: string): string {
  const value = from.get(name);
  if (value === undefined) throw new Error(`docs/format.md has no test vector "${name}"`);
  return value;
}

function hex(from: ReadonlyMap<string, string>, name: string): Buffer {
  return Buffer.from(text(from, name), "hex");
}

/** The text of the one block of this language in a section. */
function only(title: string, language: "json" | "text"): string {
  const [block, ...more] = blocksOf(title).filter((candidate) => candidate.language === language);
  if (block === undefined || more.length > 0) throw new Error(`"${title}" has not one block of ${language}`);
  return block.text;
}

function requireId(id: string): BackupId {
  if (!isBackupId(id)) throw new Error(`${id} is not a backup id`);
  return id;
}

function inHex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString("hex");
}

test("the keys are derived as the table says", () => {
  expect(keyId(dataKey, backupId)).toBe(text(keys, "key id"));
  expect(inHex(metadataKey(dataKey, backupId))).toBe(text(keys, "metadata key"));
  expect(inHex(artifactKey(dataKey, artifactId, backupId))).toBe(text(keys, "artifact key"));
});

test("the wrap opens with the wrap key and additional data that are written there, and by the program", () => {
  const secret = hex(keys, "secret of main");
  const wrapKey = hkdfSync("sha256", secret, idBytes(backupId), "backupctl/1/wrap", 32);
  const nonce = hex(keys, "nonce");
  const ciphertext = hex(keys, "ciphertext");
  const decipher = createDecipheriv("aes-256-gcm", hex(keys, "wrap key"), nonce);
  decipher.setAAD(hex(keys, "additional data"));
  decipher.setAuthTag(ciphertext.subarray(32));
  const opened = Buffer.concat([decipher.update(ciphertext.subarray(0, 32)), decipher.final()]);
  const wrap = { nonce: nonce.toString("base64"), ciphertext: ciphertext.toString("base64") };
  const context = { backupId, provider: "local", keyName: "main", keyId: text(keys, "key id") };

  expect(inHex(Buffer.from(wrapKey))).toBe(text(keys, "wrap key"));
  expect(opened).toEqual(dataKey);
  expect(openDataKey({ ...context, ...wrap, secret })).toEqual(dataKey);
});

test.each([
  ["local", { key: text(keys, "secret of main") }],
  ["passphrase", { passphrase: text(keys, "passphrase of team") }],
])("the keys object opens with the %s key", async (type, options) => {
  const provider = await keyProviderDefinitions[type]?.open(options, { name: "any", repositoryId: "any" });
  const object = { name: "keys-1-0011aabb.json", bytes: Buffer.from(only("Keys", "json")) };
  const wanted = { backupId, keyId: text(keys, "key id") };

  expect(provider).toBeDefined();
  expect((await openKeysObjects([object], wanted, provider === undefined ? [] : [provider])).dataKey).toEqual(dataKey);
});

test("the passphrase gives the secret that is written there", async () => {
  const options = { passphrase: text(keys, "passphrase of team") };
  const provider = await keyProviderDefinitions.passphrase?.open(options, { name: "team", repositoryId: "any" });
  const salt = hex(keys, "salt").toString("base64");

  expect(await provider?.open({ salt, n: 2 ** 15, r: 8, p: 1 })).toEqual(hex(keys, "secret of team"));
});

test("packs are sealed to the bytes that are written there, and open to what was sealed", () => {
  const packs = values("Packs");
  const raw = hex(packs, "raw");
  const compressed = { payload: hex(packs, "zstd"), raw: Buffer.from("backupctl ".repeat(20)), flags: 0 };
  const last = { payload: raw, raw, flags: 3 };
  const zipped = { payload: hex(packs, "gzip"), raw: compressed.raw, flags: 1 };
  const key = artifactKey(dataKey, artifactId, backupId);
  const sealed = buildPack(sealOf(1, key), [compressed, last]);
  const unsealed = buildPack(sealOf(0, undefined), [last]);
  const gzip = buildPack(sealOf(2, key, "gzip"), [zipped], "gzip");

  expect(inHex(sealed)).toBe(text(packs, "sealed pack"));
  expect(inHex(unsealed)).toBe(text(packs, "unsealed pack"));
  expect(inHex(gzip)).toBe(text(packs, "gzip pack"));
});

function sealOf(packNumber: number, key: Uint8Array | undefined, compression: "gzip" | "zstd" = "zstd"): PackSeal {
  const header = encodePackHeader({ compression, encrypted: key !== undefined, packNumber, artifactId });
  return { header, backupId: idBytes(backupId), packNumber, key };
}

interface TestBlock {
  readonly payload: Buffer;
  readonly raw: Buffer;
  readonly flags: number;
}

function buildPack(seal: PackSeal, blocks: readonly TestBlock[], compression: "gzip" | "zstd" = "zstd"): Buffer {
  const pack = Buffer.alloc(1024);
  pack.set(seal.header);
  let end = seal.header.length;
  for (const { payload, raw, flags } of blocks) {
    const start = end;
    const header = { storedLength: payload.length + 16, rawLength: raw.length, flags };
    end = sealBlock(seal, pack, start, payload, header);
    const opened = openBlock(seal, compression, start, pack.subarray(start, end));
    expect({ raw: inHex(opened.raw), last: opened.last }).toEqual({ raw: inHex(raw), last: (flags & 1) !== 0 });
  }
  return pack.subarray(0, end);
}

test("the gear table is made as it says, and chunks are cut as the example says", () => {
  const chunks = values("Chunks");
  const table = Buffer.alloc(1024);
  for (const [i, number] of GEAR.entries()) table.writeInt32BE(number, i * 4);
  const input = chunkInput();

  for (const i of [0, 1, 255]) expect(inHex(table.subarray(i * 4, i * 4 + 4))).toBe(text(chunks, `gear ${i}`));
  expect(inHex(sha256(table))).toBe(text(chunks, "SHA-256 of the gear table"));
  expect(inHex(sha256(input))).toBe(text(chunks, "SHA-256 of the input"));
  expect(lengthsOf(input, 0, "data")).toBe(text(chunks, "from 0"));
  expect(lengthsOf(input, 8 * 1024 ** 3 - 512 * 1024, "data")).toBe(text(chunks, "before 8 GiB"));
  expect(lengthsOf(input.subarray(0, 128 * 1024), 0, "index")).toBe(text(chunks, "index"));
  expect(lengthsOf(Buffer.alloc(600_000), 0, "data")).toBe(text(chunks, "zeros"));
});

function chunkInput(): Buffer {
  return Buffer.concat(Array.from({ length: 32 * 1024 }, (_, i) => sha256(bigEndian(i))));
}

function lengthsOf(bytes: Buffer, position: number, kind: "data" | "index"): string {
  const found = new ChunkCollector();
  cut(bytes, { start: 0, end: bytes.length, position, final: true }, kind, found);
  return [...found.list().lengths].join(" ");
}

function sha256(bytes: Uint8Array): Buffer {
  return createHash("sha256").update(bytes).digest();
}

function bigEndian(number: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32BE(number);
  return bytes;
}

test("chunk sizes follow the position as the table says", () => {
  const GIB = 1024 ** 3;
  const averages = [0, 8, 16, 32, 64, 128, 256, 4096].map((at) => dataChunksAt(at * GIB).average / 1024);

  expect(averages).toEqual([64, 128, 256, 512, 1024, 2048, 4096, 4096]);
  expect(dataChunksAt(8 * GIB - 1)).toEqual({ minimum: 16_384, average: 65_536, maximum: 262_144 });
  expect(INDEX_CHUNKS.average).toBe(8 * 1024);
  for (const size of ["64 KiB", "128, 256, 512 KiB, 1, 2 MiB", "4 MiB"]) expect(DOCUMENT).toContain(`| ${size} |`);
});

test("canonical JSON and its macs are as the example says", () => {
  const expected = values("Canonical JSON");
  const { mac, signature, ...content } = parseJsonObject(Buffer.from(only("Canonical JSON", "json")), "the example");
  const withMac = { ...content, mac, signature };

  expect(canonicalJson(content)).toBe(text(expected, "canonical"));
  expect(macOf(withMac, metadataKey(dataKey, backupId))).toBe(text(expected, "with the metadata key"));
  expect(macOf(withMac, undefined)).toBe(text(expected, "without a key"));
});

test("the example of the marker is read, and written to the same members", () => {
  const example = only("backupctl.json", "json");
  const marker = decodeRepositoryMarker(Buffer.from(example), "the example");

  expect(encodeRepositoryMarker(marker).toString()).toBe(example);
});

test("the example of metadata.json is proven by its mac, and is what the program writes", () => {
  const example = only("metadata.json", "json");
  const macKey = metadataKey(dataKey, backupId);
  const decoded = decodeMetadata(Buffer.from(example), "the example");

  expect(verifyMac(decoded, macKey)).toBe(true);
  expect(compact(encodeMetadata(decoded.metadata, macKey).toString())).toBe(compact(example));
});

function compact(json: string): string {
  return JSON.stringify(JSON.parse(json));
}

test("every member of the metadata is described", () => {
  const { metadata } = decodeMetadata(Buffer.from(only("metadata.json", "json")), "the example");
  const members = [metadata, metadata.sources[0], metadata.components.files].flatMap((part) => Object.keys(part ?? {}));

  expect(members.filter((member) => !DOCUMENT.includes(`\`${member}\``))).toEqual([]);
});

test("the example of notes is proven by its mac", () => {
  const object = { name: "notes-0-0011aabb.json", bytes: Buffer.from(only("Notes", "json")) };

  expect(
    decodeNotes(object, { id: backupId, timestamp: "2026-01-11T02:00:00.000Z" }, metadataKey(dataKey, backupId)),
  ).toMatchObject({ n: 0, verified: true });
});

test("the example of a root is read, and written to the same bytes", () => {
  const example = only("A root", "text");
  const root = parseRoot(Buffer.from(example));
  const tuples = root.chunks.map((chunk) => JSON.stringify(Object.values(chunk)));

  expect(root.objects.map(({ n, cipher }) => [n, cipher])).toEqual([
    [0, 1],
    [1, 1],
    [2, 0],
  ]);
  expect(encodeRoot({ ...root, chunks: tuples }).toString()).toBe(example);
});

test("the example of a tree's index is read, and written to the same bytes", () => {
  const example = only("An index of a tree", "text");
  const file = join(tempDir(), "index");
  writeFileSync(file, example);
  const entries = [...readTreeIndex(file)];
  const written = entries.map((entry) => {
    const { user, group, link, hardLink, attributes, ...rest } = entry;
    const optional = { ...(user && { user }), ...(group && { group }), ...(link && { link }) };
    const node = { ...rest, ...optional, ...(hardLink && { hardLink }), blocks: 0, statAtNs: 0n, inode: 4711n };
    return treeLines({
      statPart: statPart({ ...node, ctimeNs: entry.mtimeNs }),
      untrusted: entry.changed,
      changed: entry.changed,
      attributes,
      holes: entry.holes,
      chunks: entry.chunks.map((chunk) => JSON.stringify(Object.values(chunk))),
    });
  });

  expect(entries.map(({ name }) => name.toString("latin1"))).toEqual([
    "srv",
    Buffer.from('srv/a\nb "é"').toString("latin1"),
    "srv/caf\xe9",
  ]);
  expect(written.join("")).toBe(example.replace(/^\{"end".*\n/m, ""));
});

test("the example of a stream's index is what the program writes, and reads", async () => {
  const example = only("An index of a stream", "text");
  const file = join(tempDir(), "index");
  writeFileSync(file, example);
  const { entries, inventory, chunks, size } = readStreamIndex(file, "pgdump");
  const made = formatRun(openPool(1), { kind: "pgdump", settings: { compression: { algorithm: "none", level: 0 } } });
  const dump = {
    bytes: (async function* () {
      yield chunkInput().subarray(0, size);
    })(),
    finish: async () => ({ entries, ...(inventory && { inventory }) }),
  };

  await writeStreamSource(dump, made.run, made.source);

  expect(readFileSync(made.cache.indexFile, "utf8")).toBe(example);
  expect([chunks.length, entries.length, Object.keys(inventory ?? {})]).toEqual([3, 2, ["databases"]]);
});

test("the example of SHA256SUMS is read, and written to the same bytes", () => {
  const example = only("SHA256SUMS", "text");

  expect(encodeSha256Sums(parseSha256Sums(Buffer.from(example), "the example")).toString()).toBe(example);
});

test("the example of deleted.json is what the program writes", () => {
  const example = only("deleted.json", "json");
  const { at, by, nonce } = parseJsonObject(Buffer.from(example), "the example");

  expect(encodeDeletionMark({ backupId, at: String(at), by: String(by), nonce: String(nonce) }).toString()).toBe(
    example,
  );
});
