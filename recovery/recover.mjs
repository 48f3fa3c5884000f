#!/usr/bin/env node
// recover.mjs: lists and restores backups of backupctl without backupctl.
//
// It needs Node 20 or newer, the folder with the backups, and the key. No packages, no catalog, no network. Node 22.15 and
// newer decompress zstd themselves; an older one uses the command `zstd`. Run `node recover.mjs --help`.
//
// The format is described in docs/format.md of backupctl. The sections below come in the order in which a backup is read:
//   1 errors and output   2 objects   3 keys   4 metadata   5 blocks   6 chunks   7 root and index
//   8 restoring a stream   9 restoring a tree   10 the command line
// Nothing is believed that the key does not prove: the mac of the metadata, the tag of every block, the SHA-256 of every chunk.

import { spawnSync } from "node:child_process";
import {
  createDecipheriv,
  createHash,
  createHmac,
  hkdfSync,
  randomBytes,
  scryptSync,
  timingSafeEqual,
} from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import * as zlib from "node:zlib";

// ---------------------------------------------------------------- 1. Errors and output

const FAILED = 1;
/** What a shell shows for a program whose reader went away. */
const READER_GONE = 141;
const USAGE = 2;
const PARTLY = 3;
const DAMAGED = 4;
const NO_KEY = 12;

/** An expected failure: a message for people, and the exit code. */
class RecoveryError extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

const damaged = (message) => new RecoveryError(DAMAGED, message);
const say = (text) => process.stdout.write(`${shown(text)}\n`);
const note = (text) => process.stderr.write(`${shown(text)}\n`);

/** Names in backups are any bytes: what drives a terminal, or turns the direction of text, must not reach it. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: those are what it is about
const UNPRINTABLE = /[\u0000-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;
const shown = (text) => String(text).replace(UNPRINTABLE, "?");

/** Only what decides is checked member by member: whatever else this program can't make sense of is damage too. */
function reading(what, action) {
  try {
    return action();
  } catch (error) {
    if (![TypeError, RangeError, SyntaxError].some((kind) => error instanceof kind)) throw error;
    // What the engine says of its own operations would help nobody.
    throw damaged(`${what} is damaged: a part of it is missing, or not of the form that it must have`);
  }
}

// ---------------------------------------------------------------- 2. Objects: names and files of the repository

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;
const DIRECTORY = /^[a-z0-9][a-z0-9_-]*\/[a-z]+\/\d{4}-\d\d-\d\d\/[a-z]+-\d\d-\d\d-\d\d-[0-9a-f]{8}$/;
/** What a folder between the repository and those may be called. Others (`lost+found`) are none of ours, and may be closed to us. */
const ABOVE_DIRECTORY = /^[a-z0-9][a-z0-9_-]*(\/[a-z]+(\/\d{4}-\d\d-\d\d)?)?$/;
const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const ARTIFACT = /^[a-z0-9][a-z0-9_-]{0,63}\.[a-z0-9][a-z0-9_-]{0,63}(\.index|\.root)?\.(zst|gz|raw)(\.enc)?$/;
const ID = /^[0-9a-f]{32}$/;
const COMPRESSIONS = { raw: "none", gz: "gzip", zst: "zstd" };
const COMPRESSION_CODES = { none: 0, gzip: 1, zstd: 2 };
/** A pipe in an object's place would wait for its writer for ever. */
const READ_WITHOUT_WAITING = fs.constants.O_RDONLY | fs.constants.O_NONBLOCK;
const idBytes = (uuid) => Buffer.from(uuid.replaceAll("-", ""), "hex");

/** What objects that are read whole can have at most: one that has grown to any size must not take all memory. */
const MAX_JSON_BYTES = 2 ** 20;
const MAX_METADATA_BYTES = 2 ** 26;
const MAX_SUMS_LINE_BYTES = 256;

/** The bytes of a file, or undefined if it is not there. @throws 4 for more than `most` bytes, and for anything but a file */
function readIfThere(file, most) {
  let descriptor;
  try {
    descriptor = fs.openSync(file, READ_WITHOUT_WAITING);
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return undefined;
    throw error;
  }
  try {
    const stats = fs.fstatSync(descriptor);
    const { size } = stats;
    if (!stats.isFile()) throw damaged(`${file} is damaged: it is not a file`);
    if (size > most) throw damaged(`${file} is damaged: it has ${size} bytes, and may have ${most}`);
    // No further than its size: what has no end (a device, a file of /proc) says that it has none.
    return readExactly(descriptor, 0, size, file);
  } finally {
    fs.closeSync(descriptor);
  }
}

function parseObject(bytes, what) {
  let value;
  try {
    value = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(bytes));
  } catch {
    throw damaged(`${what} is damaged: it is not JSON`);
  }
  if (typeof value !== "object" || value === null || Array.isArray(value)) throw damaged(`${what} is damaged`);
  return value;
}

/** Every folder `<type>/<category>/<date>/<mode>-<time>-<id>`, oldest first. One that can't be read is told, added to `unread`, and left out. */
function backupDirectories(repository, unread = []) {
  const found = [];
  const descend = (relative) => {
    for (const entry of foldersIn(repository, relative, unread)) {
      const name = relative === "" ? entry : `${relative}/${entry}`;
      if (DIRECTORY.test(name)) found.push(name);
      else if (ABOVE_DIRECTORY.test(name)) descend(name);
    }
  };
  descend("");
  // Date and time are the 3rd and 4th part: by them, whatever type and mode are.
  const when = (name) => name.split("/")[2] + name.split("/")[3].replace(/^[a-z]+-/, "");
  return found.sort((a, b) => (when(a) < when(b) ? -1 : 1));
}

function foldersIn(repository, relative, unread) {
  try {
    const entries = fs.readdirSync(path.join(repository, relative), { withFileTypes: true });
    return entries.filter((entry) => entry.isDirectory()).map(({ name }) => name);
  } catch (error) {
    if (relative === "" || error.code === undefined) throw error;
    note(`warning: backups in ${relative} are left out: ${error.message}`);
    unread.push(relative);
    return [];
  }
}

/** `length` bytes of a pack at `offset`. */
function readRange(repository, directory, name, offset, length) {
  const file = path.join(repository, directory, name);
  let descriptor;
  try {
    descriptor = fs.openSync(file, READ_WITHOUT_WAITING);
  } catch (error) {
    if (error.code !== "ENOENT" && error.code !== "ENOTDIR") throw error;
    throw damaged(`${directory}/${name} is missing: copy the whole folder ${directory} from a storage that has it`);
  }
  try {
    if (offset + length > fs.fstatSync(descriptor).size) throw damaged(`${directory}/${name} is cut short`);
    return readExactly(descriptor, offset, length, `${directory}/${name}`);
  } finally {
    fs.closeSync(descriptor);
  }
}

function readExactly(descriptor, offset, length, what) {
  const bytes = Buffer.allocUnsafe(length);
  for (let done = 0; done < length; ) {
    const count = fs.readSync(descriptor, bytes, done, length - done, offset + done);
    if (count === 0) throw damaged(`${what} is cut short`);
    done += count;
  }
  return bytes;
}

// ---------------------------------------------------------------- 3. Keys: from the operator's secret to the data key

const hkdf = (secret, salt, info, length = 32) => Buffer.from(hkdfSync("sha256", secret, salt, info, length));
const keyIdOf = (dataKey, id) => hkdf(dataKey, idBytes(id), "backupctl/1/key-id", 16).toString("hex");
const metadataKeyOf = (dataKey, id) => hkdf(dataKey, idBytes(id), "backupctl/1/metadata");
const artifactKeyOf = (dataKey, artifactId, id) =>
  hkdf(dataKey, artifactId, Buffer.concat([Buffer.from("backupctl/1/artifact"), idBytes(id)]));

function decodeLocalKey(text) {
  const key = text.trim();
  if (/^[0-9a-f]{64}$/i.test(key)) return Buffer.from(key, "hex");
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(key)) return Buffer.from(key, "base64");
  throw new RecoveryError(NO_KEY, `the key file does not hold 32 bytes in hex or base64 (${key.length} characters)`);
}

/**
 * Anybody who writes to the storage can plant wraps, and each try may be a derivation that takes a good part of a second. So no backup gets more
 * tries than it could have keys; and where many backups are looked at, keys are derived for no more salts than there could be hosts.
 */
const MOST_FAILED_TRIES = 24;
const MOST_SALTS = 50;

/** Backups that one host made share the salt. */
const derived = new Map();
function scryptSecret(passphrase, { salt, n, r, p }, mostSalts) {
  const sound = [2 ** 15, 2 ** 16, 2 ** 17].includes(n) && r === 8 && [1, 2, 3, 4].includes(p);
  const saltBytes = Buffer.from(String(salt), "base64");
  if (!sound || saltBytes.length < 16 || saltBytes.length > 64) return undefined;
  const id = `${salt} ${n} ${p}`;
  if (!derived.has(id)) {
    if (derived.size >= mostSalts) return undefined;
    derived.set(id, scryptSync(passphrase, saltBytes, 32, { N: n, r, p, maxmem: 256 * r * (n + p) }));
  }
  return derived.get(id);
}

/** AES-256-GCM under HKDF(secret, backup id, "backupctl/1/wrap"); the additional data binds the wrap to its place. */
function openWrap(wrap, secret, id, keyId) {
  const nonce = Buffer.from(wrap.nonce, "base64");
  const sealed = Buffer.from(wrap.ciphertext, "base64");
  if (nonce.length !== 12 || sealed.length !== 48) return undefined;
  const prefixed = (text) => {
    const bytes = Buffer.from(text, "utf8");
    return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 255]), bytes]);
  };
  const decipher = createDecipheriv("aes-256-gcm", hkdf(secret, idBytes(id), "backupctl/1/wrap"), nonce);
  const place = [idBytes(id), prefixed(wrap.provider), prefixed(wrap.name), Buffer.from(keyId, "hex")];
  decipher.setAAD(Buffer.concat(place));
  decipher.setAuthTag(sealed.subarray(32));
  const dataKey = decipher.update(sealed.subarray(0, 32));
  try {
    decipher.final();
  } catch {
    return undefined;
  }
  return keyIdOf(dataKey, id) === keyId ? dataKey : undefined;
}

/**
 * The data key of the backup in a folder: keys objects from the highest number down, every wrap that a given secret may open.
 * `wantedKeyId` is what the metadata says; without it (an ancestor's) the keys object's own id counts.
 */
function findDataKey(repository, directory, id, wantedKeyId, secrets) {
  const numberOf = (name) => Number(/^keys-(\d{1,9})-[0-9a-f]{8}\.json$/.exec(name)?.[1] ?? -1);
  const folder = path.join(repository, directory);
  const names = fs.existsSync(folder) ? fs.readdirSync(folder).filter((name) => numberOf(name) >= 0) : [];
  if (names.length === 0) throw damaged(`${directory} has no keys object (keys-*.json)`);
  const sealedFor = new Set();
  let failed = 0;
  for (const name of names.sort((a, b) => numberOf(b) - numberOf(a))) {
    const { key_id: keyId, wraps } = readKeysObject(folder, name, id);
    if (wantedKeyId !== undefined && keyId !== wantedKeyId) continue;
    for (const wrap of wraps) {
      sealedFor.add(`${wrap.name} (${wrap.provider})`);
      const secret = secretFor(wrap, secrets);
      if (secret === undefined) continue;
      const dataKey = openWrap(wrap, secret, id, keyId);
      if (dataKey !== undefined) return dataKey;
      if (++failed === MOST_FAILED_TRIES)
        throw damaged(`${directory} can't be opened: ${failed} wraps that are said to be for the key given are not`);
    }
  }
  if (sealedFor.size === 0) throw damaged(`${directory} has no sound keys object of this backup`);
  const given =
    secrets.key === undefined && secrets.passphrase === undefined ? "no key was given" : "the key given does not fit";
  throw new RecoveryError(
    NO_KEY,
    `${directory} can't be opened: ${given}; it was sealed for ${[...sealedFor].slice(0, 20).join(", ")}`,
  );
}

function secretFor(wrap, { key, passphrase, mostSalts = Number.POSITIVE_INFINITY }) {
  if (wrap.provider === "local") return key;
  if (wrap.provider === "passphrase" && passphrase !== undefined)
    return scryptSecret(passphrase, wrap.parameters ?? {}, mostSalts);
  return undefined;
}

function isWrap(wrap) {
  return [wrap?.provider, wrap?.name, wrap?.nonce, wrap?.ciphertext].every((text) => typeof text === "string");
}

/** One that is damaged or another backup's must not keep the next from being tried. */
function readKeysObject(folder, name, id) {
  const none = { key_id: undefined, wraps: [] };
  try {
    const keys = parseObject(readIfThere(path.join(folder, name), MAX_JSON_BYTES), name);
    const sound = keys.version === 1 && keys.backup_id === id && isText(keys.key_id, ID);
    return sound && Array.isArray(keys.wraps) && keys.wraps.every(isWrap) ? keys : none;
  } catch (error) {
    note(`note: ${error.message}`);
    return none;
  }
}

// ---------------------------------------------------------------- 4. Metadata and its mac

/** RFC 8785: members sorted, no white space, numbers and strings as JavaScript writes them. */
function canonicalJson(value) {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(",")}]`;
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const members = Object.keys(value).sort();
  return `{${members.map((name) => `${JSON.stringify(name)}:${canonicalJson(value[name])}`).join(",")}}`;
}

function macFits({ mac, signature: _, ...content }, macKey) {
  const text = canonicalJson(content);
  const expected =
    macKey === undefined
      ? `sha256:${createHash("sha256").update(text).digest("hex")}`
      : `hmac-sha256:${createHmac("sha256", macKey).update(text).digest("hex")}`;
  return expected.length === mac.length && timingSafeEqual(Buffer.from(expected), Buffer.from(mac));
}

/** metadata.json of a folder, checked to be of this folder; its mac is checked by `authenticate`. */
function readMetadata(repository, directory) {
  const bytes = readIfThere(path.join(repository, directory, "metadata.json"), MAX_METADATA_BYTES);
  if (bytes === undefined) return undefined;
  const what = `${directory}/metadata.json`;
  const metadata = parseObject(bytes, what);
  if (metadata.version !== 1) {
    throw new RecoveryError(FAILED, `${what} has format version ${metadata.version}; this program reads version 1`);
  }
  if (!isText(metadata.id, UUID) || typeof metadata.mac !== "string")
    throw damaged(`${what} is damaged: no id or no mac`);
  if (metadata.storage_path !== directory || placeOf(metadata) !== directory) {
    throw damaged(`${what} belongs to another place: ${metadata.storage_path}`);
  }
  if (!lineageFits(metadata)) throw damaged(`${what} is damaged: its lineage does not fit it`);
  const marker = readIfThere(path.join(repository, "backupctl.json"), MAX_JSON_BYTES);
  if (marker !== undefined && parseObject(marker, "backupctl.json").repository_id !== metadata.repository_id) {
    throw damaged(`${what} belongs to another repository`);
  }
  if (!Array.isArray(metadata.sources)) throw damaged(`${what} is damaged: it names no sources`);
  // They may become a file's name.
  if (!metadata.sources.every((source) => isText(source?.name, NAME) && isText(source.kind, NAME)))
    throw damaged(`${what} is damaged: a source has an impossible name or kind`);
  const lacking = metadata.sources.find(({ data, index, root }) => ![data, index, root].every(isArtifactOrNone));
  if (lacking !== undefined) throw damaged(`${what} is damaged: it does not say where ${lacking.name} lies`);
  return metadata;
}

/** A number or a list would pass as the text that it is turned into. */
function isText(value, pattern) {
  return typeof value === "string" && pattern.test(value);
}

function isArtifactOrNone(artifact) {
  if (artifact === undefined) return true;
  return isText(artifact?.name, ARTIFACT) && isText(artifact.artifact_id, ID) && Array.isArray(artifact.packs);
}

function placeOf({ id, type, category, mode, timestamp }) {
  const [date, time = ""] = String(timestamp).slice(0, 19).split("T");
  return `${type}/${category}/${date}/${mode}-${time.replaceAll(":", "-")}-${id.slice(0, 8)}`;
}

/** From the full backup to this one, the parent before it. */
function lineageFits({ id, mode, parent_id: parent, storage_path: place, lineage }) {
  if (!Array.isArray(lineage) || new Set(lineage.map((member) => member?.id)).size !== lineage.length) return false;
  const [self, before] = lineage.toReversed();
  if (self?.id !== id || self.path !== place || (before?.id ?? null) !== parent) return false;
  if (lineage.slice(0, -1).some((member) => member?.checksum === undefined)) return false;
  const ancestors = lineage.length - 1;
  return { full: ancestors === 0, differential: ancestors === 1, incremental: ancestors > 0 }[mode] === true;
}

/** The data key (undefined: not sealed at all), after the mac was found right. @throws 12 without the key, 4 for a wrong mac */
function authenticate(repository, metadata, secrets) {
  const { storage_path: directory, id, key_id: keyId } = metadata;
  if (metadata.encrypted === true && typeof keyId !== "string")
    throw damaged(`${directory}: encrypted, but names no key`);
  const dataKey = typeof keyId === "string" ? findDataKey(repository, directory, id, keyId, secrets) : undefined;
  if (!macFits(metadata, dataKey === undefined ? undefined : metadataKeyOf(dataKey, id))) {
    throw damaged(`${directory}/metadata.json was changed after it was written: its mac is wrong`);
  }
  return dataKey;
}

// ---------------------------------------------------------------- 5. Packs and blocks

const PACK_HEADER_BYTES = 28;
const BLOCK_HEADER_BYTES = 12;
const TAG_BYTES = 16;
const MAX_RAW_BYTES = 16 * 1024 * 1024;
const MAX_PACK_BYTES = 32 * 1024 * 1024;
const LAST = 1;
const NOT_COMPRESSED = 2;

const packName = (artifact, pack) => `${artifact}.${String(pack).padStart(8, "0")}`;

/** "BKC1", compression, cipher, two zeros, pack number, artifact id. Rebuilt from what is proven, never read from the pack. */
function packHeader(object, pack) {
  const header = Buffer.alloc(PACK_HEADER_BYTES);
  header.write("BKC1", "latin1");
  header[4] = COMPRESSION_CODES[object.compression];
  header[5] = object.cipher;
  header.writeUInt32BE(pack, 8);
  Buffer.from(object.artifact_id, "hex").copy(header, 12);
  return header;
}

function blockHeader(bytes) {
  const header = { stored: bytes.readUInt32BE(0), raw: bytes.readUInt32BE(4), flags: bytes.readUInt32BE(8) };
  const { stored, raw, flags } = header;
  if (flags > (LAST | NOT_COMPRESSED) || raw > MAX_RAW_BYTES || stored < TAG_BYTES || stored > raw + 1024) {
    throw damaged("a block's header can't be right");
  }
  return header;
}

/** Opens one whole block that lay at `offset` of its pack; `key` is undefined for cipher 0. */
function openBlock(object, pack, offset, block, key) {
  const header = blockHeader(block);
  if (block.length !== BLOCK_HEADER_BYTES + header.stored) throw damaged("a block is cut short");
  const before = Buffer.concat([
    packHeader(object, pack),
    idBytes(object.origin),
    block.subarray(0, BLOCK_HEADER_BYTES),
  ]);
  const payload = block.subarray(BLOCK_HEADER_BYTES, block.length - TAG_BYTES);
  const tag = block.subarray(block.length - TAG_BYTES);
  let packed = payload;
  if (object.cipher === 1) {
    const nonce = Buffer.alloc(12);
    nonce.writeUInt32BE(pack, 0);
    nonce.writeBigUInt64BE(BigInt(offset), 4);
    const decipher = createDecipheriv("aes-256-gcm", key, nonce);
    decipher.setAAD(before);
    decipher.setAuthTag(tag);
    packed = decipher.update(payload);
    try {
      decipher.final();
    } catch {
      throw damaged("a block does not open: it was changed, or it is not of this place");
    }
  } else {
    const sum = createHash("sha256").update(before).update(payload).digest().subarray(0, TAG_BYTES);
    if (!sum.equals(tag)) throw damaged("a block's checksum is wrong");
  }
  const plain = object.compression === "none" || (header.flags & NOT_COMPRESSED) !== 0;
  const raw = plain ? packed : decompress(packed, object.compression, header.raw);
  if (raw.length !== header.raw) throw damaged("a block has not the length that it should have");
  return { raw, last: (header.flags & LAST) !== 0 };
}

/** Never gives more than the block may hold, whatever the input claims. */
function decompress(packed, compression, rawLength) {
  if (compression === "zstd" && zlib.zstdDecompressSync === undefined) return zstdByCommand(packed);
  const limit = { maxOutputLength: Math.max(1, rawLength) };
  try {
    return compression === "gzip" ? zlib.gunzipSync(packed, limit) : zlib.zstdDecompressSync(packed, limit);
  } catch {
    throw damaged("a block does not decompress");
  }
}

function zstdByCommand(packed) {
  const run = spawnSync("zstd", ["-d", "-q", "-c"], { input: packed, maxBuffer: MAX_RAW_BYTES + 1 });
  if (run.error?.code === "ENOENT") {
    const way = "use Node 22.15 or newer, or install the command zstd (apt-get install zstd)";
    throw new RecoveryError(
      FAILED,
      `these backups are compressed with zstd, which Node ${process.versions.node} can't read: ${way}`,
    );
  }
  if (run.status !== 0) throw damaged("a block does not decompress");
  return run.stdout;
}

// ---------------------------------------------------------------- 6. Chunks: pieces of blocks, named by their SHA-256

/** What the numbers of a tuple may be at most: length, object, pack, block offset, block stored length, offset in block. */
const TUPLE_LIMITS = [MAX_RAW_BYTES, 2 ** 32, 99_999_999, MAX_PACK_BYTES, MAX_RAW_BYTES + 1024, MAX_RAW_BYTES];

function isTuple(tuple) {
  const [sha256, ...numbers] = Array.isArray(tuple) ? tuple : [];
  const within = (number, i) => Number.isInteger(number) && number >= 0 && number <= TUPLE_LIMITS[i];
  return /^[0-9a-f]{64}$/.test(sha256) && numbers.length === TUPLE_LIMITS.length && numbers.every(within);
}

/** Reads chunks by their tuple [sha256, length, object, pack, block offset, block stored length, offset in block]. */
class ChunkReader {
  #repository;
  #objects;
  #kept = new Map();

  /** @param objects the root's table, each with its directory and, if sealed, its key */
  constructor(repository, objects) {
    this.#repository = repository;
    this.#objects = objects;
  }

  read(tuple) {
    if (!isTuple(tuple)) throw damaged("a chunk's place can't be right");
    const [sha256, length, n, pack, offset, stored, inside] = tuple;
    const object = this.#objects[n];
    if (object === undefined) throw damaged(`a chunk lies in object ${n}, which the root does not list`);
    const raw = this.#block(object, pack, offset, stored);
    const bytes = raw.subarray(inside, inside + length);
    if (createHash("sha256").update(bytes).digest("hex") !== sha256) {
      throw damaged(`${object.directory}/${packName(object.name, pack)}: a chunk does not match its SHA-256`);
    }
    return bytes;
  }

  /** Files that lie together share blocks, so a few of them are kept. */
  #block(object, pack, offset, stored) {
    const id = `${object.n} ${pack} ${offset}`;
    const kept = this.#kept.get(id);
    if (kept !== undefined) return kept;
    const name = packName(object.name, pack);
    const bytes = readRange(this.#repository, object.directory, name, offset, BLOCK_HEADER_BYTES + stored);
    const { raw } = naming(`${object.directory}/${name}, block at ${offset}`, () =>
      openBlock(object, pack, offset, bytes, object.key),
    );
    this.#kept.set(id, raw);
    if (this.#kept.size > 16) this.#kept.delete(this.#kept.keys().next().value);
    return raw;
  }
}

function naming(what, action) {
  try {
    return action();
  } catch (error) {
    throw error instanceof RecoveryError && error.code === DAMAGED ? damaged(`${what}: ${error.message}`) : error;
  }
}

// ---------------------------------------------------------------- 7. Root and index

/** All bytes of an artifact that lies whole in its own folder: the root's. `sums`, where given, say what each pack must be. */
function readWholeArtifact(repository, object, packs, sums) {
  const pieces = [];
  let ended = false;
  for (const [pack, size] of packs.entries()) {
    const name = packName(object.name, pack);
    if (!Number.isInteger(size) || size > MAX_PACK_BYTES) throw damaged(`${name}: its size can't be right`);
    const bytes = readRange(repository, object.directory, name, 0, size);
    if (fs.statSync(path.join(repository, object.directory, name)).size !== size)
      throw damaged(`${object.directory}/${name} is longer than it should be`);
    naming(`${object.directory}/${name}`, () => {
      if (sums !== undefined && sums.get(name) !== createHash("sha256").update(bytes).digest("hex"))
        throw damaged("it does not match SHA256SUMS");
      if (!bytes.subarray(0, PACK_HEADER_BYTES).equals(packHeader(object, pack)))
        throw damaged("its header is another's");
      for (let offset = PACK_HEADER_BYTES; offset < size; ) {
        if (ended || offset + BLOCK_HEADER_BYTES > size) throw damaged("its blocks do not end where they should");
        const end = offset + BLOCK_HEADER_BYTES + blockHeader(bytes.subarray(offset)).stored;
        const { raw, last } = openBlock(object, pack, offset, bytes.subarray(offset, end), object.key);
        pieces.push(raw);
        ended = last;
        offset = end;
      }
    });
  }
  if (!ended) throw damaged(`${object.directory}/${object.name} is truncated: its last block is missing`);
  return Buffer.concat(pieces);
}

/**
 * What SHA256SUMS says of each pack, itself proven by the metadata. A root that is not sealed is proven by it alone; the index is
 * then proven by the root, and every chunk by the index.
 */
function readSums(repository, { storage_path: directory, checksum, sources }) {
  const artifacts = sources.flatMap(({ data, index, root }) => [data, index, root]);
  const packs = artifacts.reduce((count, artifact) => count + (artifact?.packs.length ?? 0), 0);
  const file = path.join(repository, directory, "SHA256SUMS");
  const bytes = readIfThere(file, MAX_SUMS_LINE_BYTES * packs) ?? Buffer.alloc(0);
  if (`sha256:${createHash("sha256").update(bytes).digest("hex")}` !== checksum)
    throw damaged(`${directory}/SHA256SUMS is not the one that metadata.json knows`);
  const lines = bytes.toString("latin1").split("\n").slice(0, -1);
  return new Map(lines.map((line) => [line.slice(66), line.slice(0, 64)]));
}

/** Line 1: lineage and objects; then the index's chunks; last line: counts and the SHA-256 of the index. */
function readRoot(repository, metadata, source, dataKey, secrets) {
  const { id, storage_path: directory, encrypted } = metadata;
  const { name, packs, artifact_id } = source.root;
  const compression = COMPRESSIONS[/\.(raw|gz|zst)(?:\.enc)?$/.exec(name)[1]];
  const own = { origin: id, directory, name, artifact_id, compression, cipher: encrypted ? 1 : 0 };
  const key = encrypted ? artifactKeyOf(dataKey, Buffer.from(artifact_id, "hex"), id) : undefined;
  const what = `${directory}/${name}`;
  const lines = readWholeArtifact(
    repository,
    { ...own, key },
    packs,
    encrypted ? undefined : readSums(repository, metadata),
  )
    .toString("utf8")
    .split("\n");
  if (lines.pop() !== "" || lines.length < 2) throw damaged(`${what} is cut`);
  const [first, ...rest] = lines.map((line) => parseObject(Buffer.from(line), what));
  const last = rest.pop();
  const chunks = rest.flatMap((line) => line.chunks);
  requireSameFacts(first, last, chunks.length, metadata, source, what);
  const dataKeys = new Map([[id, dataKey]]);
  const { lineage } = metadata;
  const objects = first.objects.map((object, n) => openObject(repository, object, n, lineage, dataKeys, secrets));
  return { objects, chunks, size: last.size, indexSize: last.index_size, indexSha256: last.index_sha256 };
}

/** A root is this backup's and this source's, and which ancestors and artifacts it means is what the metadata says. */
function requireSameFacts(first, last, chunkCount, metadata, source, what) {
  const { version, backup_id: id, source: name, kind, lineage, objects } = first;
  if (version !== 1 || id !== metadata.id || name !== source.name || kind !== source.kind || !Array.isArray(objects))
    throw damaged(`${what} is not this source's root`);
  if (last.end !== true || last.chunks !== chunkCount || last.size !== source.size)
    throw damaged(`${what} does not hold what it should`);
  if (canonicalJson(lineage) !== canonicalJson(metadata.lineage))
    throw damaged(`${what} tells of another lineage than metadata.json`);
  const known = [source.data, source.index].map((artifact) => `${artifact?.name} ${artifact?.artifact_id}`);
  const strange = objects.find((own) => own?.origin === id && !known.includes(`${own.name} ${own.artifact_id}`));
  if (strange !== undefined) throw damaged(`${what} names ${strange.name}, which metadata.json does not`);
}

/** Where an object lies, and its key: each backup of the lineage has a data key of its own. */
function openObject(repository, object, n, lineage, dataKeys, secrets) {
  const directory = lineage.find((member) => member.id === object.origin)?.path;
  const sound = object.n === n && isText(object.name, ARTIFACT) && isText(object.artifact_id, ID);
  if (!sound || !(object.compression in COMPRESSION_CODES) || ![0, 1].includes(object.cipher))
    throw damaged("the root's objects are wrong");
  if (directory === undefined || !DIRECTORY.test(directory)) throw damaged("the root names an object of no ancestor");
  if (object.cipher === 0) return { ...object, directory };
  // The ancestor's metadata may be lost or damaged. They are not needed: only who has the secret can make a key that it opens.
  if (!dataKeys.has(object.origin))
    dataKeys.set(object.origin, findDataKey(repository, directory, object.origin, undefined, secrets));
  const dataKey = dataKeys.get(object.origin);
  if (dataKey === undefined) throw damaged("the root says sealed, the backup says not");
  return { ...object, directory, key: artifactKeyOf(dataKey, Buffer.from(object.artifact_id, "hex"), object.origin) };
}

/** The parsed lines of the index. The whole of it is checked at the end, so whoever acts on a line must have read all once. */
function* indexLines(root, reader) {
  const hash = createHash("sha256");
  let rest = Buffer.alloc(0);
  let size = 0;
  for (const tuple of root.chunks) {
    const bytes = reader.read(tuple);
    hash.update(bytes);
    size += bytes.length;
    let text = Buffer.concat([rest, bytes]);
    for (let end = text.indexOf(10); end >= 0; end = text.indexOf(10)) {
      yield parseObject(text.subarray(0, end), "a line of the index");
      text = text.subarray(end + 1);
    }
    rest = text;
  }
  if (rest.length > 0 || size !== root.indexSize || hash.digest("hex") !== root.indexSha256) {
    throw damaged("the index is not the one that its root describes");
  }
}

/** Reads the index once from end to end, before anything is written. Gives what is worth a note, and a stream's parts. */
function surveyIndex(root, reader, kind) {
  const tree = kind === "tree";
  const found = { xattrs: 0, changed: 0, parts: [] };
  const counted = { entries: 0, chunks: 0, bytes: 0 };
  let last;
  for (const line of indexLines(root, reader)) {
    if (last !== undefined) throw damaged("lines follow the index's last line");
    if (line.end === true) last = line;
    else countLine(counted, line, tree);
    if (tree && line.type !== undefined && !isEntry(line))
      throw damaged("an entry of the index is not of the form that it must have");
    if (line.xattrs !== undefined) found.xattrs++;
    if (line.changed === true) found.changed++;
    if (!tree && line.type !== undefined) found.parts.push(line);
  }
  if (last === undefined) throw damaged("the index is cut: its last line is missing");
  const { entries, chunks, bytes } = counted;
  const stream = tree || (last.chunks === chunks && bytes === root.size);
  if (last.entries !== entries || last.bytes !== bytes || !stream)
    throw damaged("the index does not hold what its last line says");
  if (found.parts.some(({ offset, size }) => !(offset >= 0 && size >= 0 && offset + size <= bytes)))
    throw damaged("the index names a part that lies outside of the stream");
  if (KINDS_OF_FILES.includes(kind) && found.parts.some(({ name }) => !isFileName(name)))
    throw damaged("a part of the stream has an impossible name");
  return found;
}

/** An entry of a tree, with all that is needed to put it back as it was. */
function isEntry({ name, name_b64, type, link, link_b64, mode, uid, gid, mtime }) {
  const texts = [name ?? name_b64, type === "symlink" ? (link ?? link_b64) : ""];
  const numbers = [mode, uid, gid].every((number) => Number.isInteger(number) && number >= 0 && number < 2 ** 32);
  return numbers && texts.every((text) => typeof text === "string") && isText(mtime, /^-?\d{1,30}$/);
}

/** Whose parts are files. Others are named as in a database, which allows everything. */
const KINDS_OF_FILES = ["sqlite", "output", "env"];

function isFileName(name) {
  return !["", ".", ".."].includes(name) && !/[/\0]/.test(name);
}

function countLine(counted, line, tree) {
  if (line.type !== undefined) counted.entries++;
  if (tree) counted.bytes += line.size ?? 0;
  if (tree || !Array.isArray(line.chunks)) return;
  counted.chunks += line.chunks.length;
  for (const tuple of line.chunks) {
    if (!isTuple(tuple)) throw damaged("a chunk's place can't be right");
    counted.bytes += tuple[1];
  }
}

// ---------------------------------------------------------------- 8. Restoring a stream: a dump, a log, a command's output

/** The whole stream, one part of it, or each of its files into a folder. */
function restoreStream(root, reader, to, source, parts, wanted) {
  const whole = { name: `${source.name}.${source.kind}`, offset: 0, size: root.size };
  const files = filesIn(parts, root.size);
  if (wanted === undefined && files.length > 1) {
    inNewFolder(to, (folder) => {
      for (const file of files) writeRange(root, reader, path.join(folder, file.file), file);
    });
    say(`restored ${to}: ${files.map(({ file, size }) => `${file} (${size} bytes)`).join(", ")}`);
    return;
  }
  const range = wanted === undefined ? whole : findPart(parts, wanted);
  const target = isEmptyDirectory(to) ? path.join(to, whole.name) : to;
  writeRange(root, reader, target, range);
  say(`restored ${target}: ${range.size} bytes`);
}

/** Writes the bytes of the stream that lie in a range, as a file that appears when it is whole. */
function writeRange(root, reader, target, { offset: from, size }) {
  const work = workPlace(target);
  const descriptor = fs.openSync(work, "wx", 0o600);
  const end = from + size;
  let position = 0;
  try {
    for (const line of indexLines(root, reader)) {
      // In the last line `chunks` is their number.
      for (const tuple of Array.isArray(line.chunks) ? line.chunks : []) {
        const [, length] = tuple;
        const first = Math.max(0, from - position);
        const wanted = Math.min(length, end - position) - first;
        if (wanted > 0)
          writeAll(descriptor, reader.read(tuple).subarray(first, first + wanted), position + first - from);
        position += length;
      }
    }
    if (position !== root.size) throw damaged("the stream is not as long as its root says");
    fs.fsyncSync(descriptor);
    giveName(work, target);
  } finally {
    fs.closeSync(descriptor);
    fs.rmSync(work, { force: true });
  }
}

/** Beside a place, where what comes there is made. A name has 255 bytes at most. */
function workPlace(place) {
  const start = Buffer.from(path.basename(place))
    .toString("utf8", 0, 200)
    .replace(/\ufffd+$/, "");
  return path.join(path.dirname(place), `${start}.recovering-${randomBytes(4).toString("hex")}`);
}

/** A link refuses to replace what came there meanwhile; a rename would not. */
function giveName(work, target) {
  if (linked(() => fs.linkSync(work, target))) return;
  // So the name is taken first, by an empty file that nobody but this program made.
  fs.closeSync(fs.openSync(target, "wx", 0o600));
  try {
    fs.renameSync(work, target);
  } catch (error) {
    fs.rmSync(target, { force: true });
    throw error;
  }
}

/** Makes a hard link or symlink; false where the file system takes none (FAT, exFAT), or no more of this file. */
function linked(make) {
  try {
    make();
    return true;
  } catch (error) {
    if (["EPERM", "ENOTSUP", "EOPNOTSUPP", "ENOSYS", "EMLINK"].includes(error.code)) return false;
    throw error;
  }
}

/** The parts that make up a stream without a gap, each with a file's name: roles and databases, but not the tables in those. */
function filesIn(parts, streamSize) {
  const files = [];
  let end = 0;
  for (const part of parts) {
    if (part.offset < end) continue;
    if (part.offset > end) return [];
    files.push({ ...part, file: fileNameOf(part) });
    end += part.size;
  }
  return end === streamSize ? files : [];
}

function fileNameOf({ name, type }) {
  const safe = name.replace(/[%/\0]/g, encodeURIComponent) + (type === "database" ? ".dump" : "");
  if (!isFileName(safe)) throw damaged("a part of the stream has an impossible name");
  return safe;
}

function findPart(parts, name) {
  const part = parts.find((entry) => entry.name === name);
  if (part !== undefined) return part;
  throw usage(
    `the stream has no part "${name}"; it has ${
      parts
        .slice(0, 20)
        .map((entry) => entry.name)
        .join(", ") || "none"
    }`,
  );
}

function writeAll(descriptor, bytes, position) {
  for (let done = 0; done < bytes.length; ) {
    done += fs.writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  }
  return bytes.length;
}

// ---------------------------------------------------------------- 9. Restoring a tree: files, directories, links

const SLASH = Buffer.from("/");
const LONGEST_PATH = 3800;
const isRoot = process.geteuid?.() === 0;

const rawBytes = (text, base64) =>
  base64 === undefined ? Buffer.from(String(text), "utf8") : Buffer.from(base64, "base64");

/** Order of the index: bytes, "/" before all others. It also proves that no name comes twice. */
function compareNames(a, b) {
  let at = 0;
  while (at < a.length && at < b.length && a[at] === b[at]) at++;
  const rank = (byte) => (byte === 0x2f ? -1 : (byte ?? -2));
  return rank(a[at]) - rank(b[at]);
}

/** Names are relative: no empty, "." or ".." member, no zero byte. */
function membersOf(name) {
  const members = [];
  for (let from = 0; from <= name.length; ) {
    const slash = name.indexOf(0x2f, from);
    const end = slash < 0 ? name.length : slash;
    members.push(name.subarray(from, end));
    from = end + 1;
  }
  const bad = (member) => member.length === 0 || member.includes(0) || [".", ".."].includes(member.toString("latin1"));
  if (members.some(bad)) throw damaged(`the index has the unsafe name ${name}`);
  return members;
}

/** Entries of a tree with all their chunks, in order. */
function* treeEntries(root, reader) {
  let open;
  let last = Buffer.alloc(0);
  for (const line of indexLines(root, reader)) {
    if (line.more !== undefined && open !== undefined) {
      open.chunks.push(...line.chunks);
      continue;
    }
    if (open !== undefined) yield open;
    if (line.end === true) return;
    const name = rawBytes(line.name, line.name_b64);
    if (compareNames(last, name) >= 0) throw damaged(`the index is out of order at ${name}`);
    last = name;
    open = { ...line, name, chunks: [...(line.chunks ?? [])] };
  }
}

/**
 * Writes below an empty folder of our own. Directories are entered only if this program made them, so no symlink of the backup
 * is ever followed; their modes and times are set when everything in them is written.
 */
class TreeTarget {
  #open = [];
  #firsts = new Map();
  #reader;
  problems = [];
  /** The names of symlinks that the file system takes none of. */
  leftOut = [];

  constructor(folder, reader) {
    this.#reader = reader;
    this.#open.push({ member: undefined, path: Buffer.from(folder), entry: undefined, descriptor: undefined });
  }

  add(entry) {
    const members = membersOf(entry.name);
    const parent = this.#enter(members.slice(0, -1));
    const place = Buffer.concat([parent.path, SLASH, members.at(-1)]);
    if (entry.type === "directory") return this.#makeDirectory(place, members.at(-1), entry);
    const group = groupOf(entry);
    const first = this.#firsts.get(group);
    if (first !== undefined && linked(() => fs.linkSync(first, place))) return undefined;
    if (first !== undefined) this.problems.push(`${entry.name}: is a file of its own, because it can't be linked here`);
    if (entry.type === "symlink") {
      const text = rawBytes(entry.link, entry.link_b64);
      if (!linked(() => fs.symlinkSync(text, place))) {
        this.leftOut.push(entry.name);
        return undefined;
      }
    } else if (entry.type === "file") this.#makeFile(place, entry);
    else throw damaged(`unknown type of entry: ${entry.type}`);
    if (group !== undefined && canBeLinked(place, entry)) this.#firsts.set(group, place);
    return this.#setFacts(place, entry);
  }

  finish() {
    while (this.#open.length > 0) this.#leave();
  }

  /** The open directory of these members: leaves others, and makes what the backup does not describe. */
  #enter(members) {
    let depth = 0;
    while (depth < members.length && this.#open[depth + 1]?.member.equals(members[depth])) depth++;
    while (this.#open.length > depth + 1) this.#leave();
    for (const member of members.slice(depth)) {
      this.#makeDirectory(Buffer.concat([this.#open.at(-1).path, SLASH, member]), member, undefined);
    }
    return this.#open.at(-1);
  }

  #makeDirectory(place, member, entry) {
    try {
      fs.mkdirSync(place, 0o700);
    } catch (error) {
      // The folder was empty and all names differ: here lies an entry that is no directory, a planted symlink perhaps.
      throw error.code === "EEXIST" ? damaged(`the index has entries below ${place}, which is no directory`) : error;
    }
    const { path: anchored, descriptor } = shortened(place);
    this.#open.push({ member, path: anchored, entry, descriptor });
  }

  #leave() {
    const { path: place, entry, descriptor } = this.#open.pop();
    if (entry !== undefined) this.#setFacts(place, entry);
    if (descriptor !== undefined) fs.closeSync(descriptor);
  }

  #makeFile(place, entry) {
    const descriptor = fs.openSync(place, fs.constants.O_WRONLY | fs.constants.O_CREAT | fs.constants.O_EXCL, 0o600);
    try {
      this.#writeContent(descriptor, entry);
    } finally {
      fs.closeSync(descriptor);
    }
  }

  /** Chunks hold a file's bytes without its holes; holes are ranges that were never written. */
  #writeContent(descriptor, entry) {
    const holes = [...(entry.holes ?? [])];
    let position = 0;
    const skipHoles = () => {
      while (holes.length > 0 && holes[0][0] === position) position += holes.shift()[1];
    };
    for (const tuple of entry.chunks) {
      let bytes = this.#reader.read(tuple);
      while (bytes.length > 0) {
        skipHoles();
        const piece = bytes.subarray(0, holes.length === 0 ? bytes.length : holes[0][0] - position);
        if (piece.length === 0) throw damaged(`the holes of ${entry.name} are out of order`);
        position += writeAll(descriptor, piece, position);
        bytes = bytes.subarray(piece.length);
      }
    }
    skipHoles();
    if (position !== entry.size || holes.length > 0)
      throw damaged(`the chunks of ${entry.name} do not make up its size`);
    fs.ftruncateSync(descriptor, entry.size);
  }

  /** Owner first: changing it takes away set-user-id bits. */
  #setFacts(place, entry) {
    const mtime = secondsOf(BigInt(entry.mtime));
    try {
      if (isRoot) fs.lchownSync(place, entry.uid, entry.gid);
      if (entry.type === "symlink") return fs.lutimesSync(place, mtime, mtime);
      fs.chmodSync(place, entry.mode & 0o7777);
      fs.utimesSync(place, mtime, mtime);
    } catch (error) {
      if (error.errno === undefined) throw error;
      this.problems.push(`${entry.name}: ${error.message}`);
    }
    return undefined;
  }
}

/** Exact to the microsecond, as doubles are. As text, because Node takes a negative number, a time before 1970, for "now". */
function secondsOf(ns) {
  const beyondMicrosecond = ((ns % 1000n) + 1000n) % 1000n;
  return String(Number(ns - beyondMicrosecond + 500n) / 1e9);
}

/** Names of one file. With other content, read after a change or of another file that got the same number, it is another one. */
function groupOf({ type, hard_link, size, link, link_b64, holes = [], chunks }) {
  if (hard_link === undefined) return undefined;
  const content = createHash("sha256").update(JSON.stringify([size, link, link_b64, holes]));
  for (const [sha256] of chunks) content.update(sha256);
  return `${type} ${hard_link} ${content.digest("hex")}`;
}

/**
 * Where not, the next one of the group becomes one of its own: what is named through an open directory can't be found later, and
 * other systems than Linux link to what a symlink points to.
 */
function canBeLinked(place, { type }) {
  return !place.includes("/proc/self/fd/") && (type === "file" || process.platform === "linux");
}

/** A path too long for the system is named through the open directory. */
function shortened(place) {
  if (place.length <= LONGEST_PATH || process.platform !== "linux") return { path: place, descriptor: undefined };
  const descriptor = fs.openSync(place, fs.constants.O_RDONLY | fs.constants.O_DIRECTORY | fs.constants.O_NOFOLLOW);
  return { path: Buffer.from(`/proc/self/fd/${descriptor}`), descriptor };
}

/** Gives how many entries were left out. */
function restoreTree(root, reader, to) {
  let count = 0;
  const { problems, leftOut } = inNewFolder(to, (folder) => {
    const target = new TreeTarget(folder, reader);
    for (const entry of treeEntries(root, reader)) {
      target.add(entry);
      if (++count % 100_000 === 0) note(`${count} entries …`);
    }
    target.finish();
    return target;
  });
  say(`restored ${to}: ${count - leftOut.length} entries`);
  for (const problem of problems.slice(0, 20)) note(`note: ${problem}`);
  for (const name of leftOut) note(`warning: ${name} was left out: the file system there takes no symlinks`);
  if (!isRoot) note("note: owners are those of this user; run as root to restore owners");
  return leftOut.length;
}

/** A folder that appears when it is whole, or an empty one that exists: whatever fails, nothing is left in it. */
function inNewFolder(to, fill) {
  const existed = isEmptyDirectory(to);
  const work = existed ? to : workPlace(to);
  if (!existed) fs.mkdirSync(work, { mode: 0o700 });
  try {
    const result = fill(work);
    if (!existed) fs.renameSync(work, to);
    return result;
  } catch (error) {
    try {
      if (existed) for (const name of fs.readdirSync(work, "buffer")) removeBelow(work, name);
      else fs.rmSync(work, { recursive: true, force: true });
    } catch (why) {
      note(`note: remove what is left in ${work} (${why.message})`);
    }
    throw error;
  }
}

function removeBelow(folder, name) {
  fs.rmSync(Buffer.concat([Buffer.from(`${folder}/`), name]), { recursive: true, force: true });
}

function isEmptyDirectory(place) {
  try {
    return fs.readdirSync(place).length === 0;
  } catch (error) {
    if (error.code === "ENOENT" || error.code === "ENOTDIR") return false;
    throw error;
  }
}

// ---------------------------------------------------------------- 10. The command line

const HELP = `recover.mjs: read backups of backupctl with plain Node, without backupctl

  node recover.mjs list DIR [--key-file F | --passphrase-file F]
  node recover.mjs restore DIR BACKUP SOURCE (--key-file F | --passphrase-file F) --to PATH

  DIR     the repository: the folder that holds backupctl.json, or a local copy of the storage's prefix. For an incremental
          or differential backup it must hold the folders of its ancestors too; simply copy everything.
  BACKUP  the id of a backup, its first characters, or "latest": the newest that holds SOURCE and is proven. See "list".
  SOURCE  the name of a source in it. See "list".

  --key-file F         a file with the local key: 64 hex characters or base64
  --passphrase-file F  a file with the passphrase; line breaks at its end do not count
  --to PATH            where to restore to: a path that does not exist yet, or an empty folder. A tree of files becomes that
                       folder; a dump or other stream becomes that file, one of several files a folder with these: of a
                       PostgreSQL server globals.sql (for psql) and NAME.dump of each database (for pg_restore). Nothing is
                       left there if anything fails.
  --part NAME          only this one of them, as a file; for a PostgreSQL database its name
  --allow-unencrypted  restore a backup that is not encrypted although a key is given, or whose mac can't be checked for lack of
                       the key: whoever could write to the storage could have made it

Example: restore the newest uploads, then a database dump, from a copy of the bucket

  node recover.mjs list /mnt/copy --key-file backup.key
  node recover.mjs restore /mnt/copy latest uploads --key-file backup.key --to /srv/restored
  node recover.mjs restore /mnt/copy 550e8400 app --key-file backup.key --to app

It restores file contents, folders, modes, times, symlinks, hard links and holes (owners when run as root), but no extended
attributes and ACLs. Where the file system takes no symlinks they are left out and named, with status 3. Keys in a cloud key
service or Vault are for backupctl itself. Zstd needs Node 22.15 or the command zstd.

Exit status: 0 done, 1 failed, 2 wrong usage, 3 done but for what it names, 4 damaged or incomplete backup,
12 key missing or wrong
`;

const VALUE_OPTIONS = ["--key-file", "--passphrase-file", "--part", "--to"];

function parseArguments(args) {
  const options = {};
  const words = [];
  for (let i = 0; i < args.length; i++) {
    const [name, inline] = args[i].startsWith("--") ? splitOnce(args[i]) : [args[i]];
    if (name === "--help" || name === "-h") options.help = true;
    else if (name === "--allow-unencrypted") options.allowUnencrypted = true;
    else if (VALUE_OPTIONS.includes(name)) {
      const value = inline ?? args[++i];
      if (value === undefined || value === "") throw usage(`${name} needs a value`);
      options[name] = value;
    } else if (name.startsWith("-")) throw usage(`unknown option ${name}`);
    else words.push(name);
  }
  return { options, words };
}

function splitOnce(text) {
  const at = text.indexOf("=");
  return at < 0 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

const usage = (message) => new RecoveryError(USAGE, `${message}; see node recover.mjs --help`);

function readSecrets(options) {
  const read = (option) => {
    if (options[option] === undefined) return undefined;
    try {
      return fs.readFileSync(options[option], "utf8");
    } catch (error) {
      throw new RecoveryError(NO_KEY, `${option}: ${error.message}`);
    }
  };
  const key = read("--key-file");
  const passphrase = read("--passphrase-file")?.replace(/[\r\n]+$/, "");
  if (passphrase === "") throw new RecoveryError(NO_KEY, "the passphrase file is empty");
  return { key: key === undefined ? undefined : decodeLocalKey(key), passphrase };
}

function requireRepository(directory) {
  if (directory === undefined) throw usage("name the folder with the backups");
  if (!fs.existsSync(directory) || !fs.statSync(directory).isDirectory()) throw usage(`${directory} is not a folder`);
  if (!fs.existsSync(path.join(directory, "backupctl.json"))) {
    note(`note: ${directory} has no backupctl.json: perhaps it is not the top of a repository`);
  }
  return directory;
}

/** How far a backup is proven, in one word or two. */
function stateOf(repository, metadata, secrets) {
  try {
    const dataKey = authenticate(repository, metadata, secrets);
    return dataKey === undefined ? "intact, not encrypted" : "verified";
  } catch (error) {
    if (!(error instanceof RecoveryError)) throw error;
    if (error.code !== NO_KEY) return `DAMAGED: ${error.message}`;
    return secrets.key === undefined && secrets.passphrase === undefined
      ? "not checked (no key given)"
      : "not checked (key does not fit)";
  }
}

/** A backup in a line, and a line for each source. */
function describe(repository, directory, secrets) {
  const metadata = readMetadata(repository, directory);
  if (metadata === undefined) return [`${directory}  unfinished or deleted: it has no metadata.json`];
  const { id, timestamp, type, mode, status, sources } = metadata;
  const state = stateOf(repository, metadata, secrets);
  const failed = (root) => (root === undefined ? "  FAILED, not in this backup" : "");
  return [
    `${timestamp}  ${id}  ${type} ${mode}  ${status}  ${state}`,
    ...sources.map(
      ({ name, kind, engine, size, root }) => `    ${name}  ${engine} (${kind})  ${size} bytes${failed(root)}`,
    ),
  ];
}

function list(repository, allSecrets) {
  const secrets = { ...allSecrets, mostSalts: MOST_SALTS };
  const unread = [];
  let count = 0;
  for (const directory of backupDirectories(repository, unread)) {
    try {
      const lines = reading(`${directory}/metadata.json`, () => describe(repository, directory, secrets));
      for (const line of lines) say(line);
      if (lines.length > 1) count++;
    } catch (error) {
      // What the system refuses to read must not hide the others either.
      if (error.code === undefined) throw error;
      say(`${directory}  DAMAGED: ${error.message}`);
    }
  }
  if (derived.size >= MOST_SALTS)
    note(`note: keys were derived for ${MOST_SALTS} salts only; what is not checked may be proven when it is restored`);
  say(count === 0 ? "no backups found" : `${count} backup${count === 1 ? "" : "s"}`);
  return unread.length > 0 ? PARTLY : 0;
}

/**
 * The backup that is meant, with its data key: the one whose id begins so, or "latest". One that is damaged, or was planted, must not keep the
 * others from being restored, so only those that `prove` gives a data key of count.
 */
function findBackup(repository, text, sourceName, prove) {
  const latest = text === "latest";
  if (!latest && !/^[0-9a-f-]{4,36}$/.test(text)) throw usage(`"${text}" is not a backup id`);
  const holds = ({ name, root }) => name === sourceName && root !== undefined;
  const found = [];
  const problems = [];
  for (const directory of backupDirectories(repository).reverse()) {
    // The folder's name ends with the first 8 digits of the id: others need not be read.
    if (!latest && !directory.slice(-8).startsWith(text.slice(0, 8))) continue;
    try {
      reading(`${directory}/metadata.json`, () => {
        const metadata = readMetadata(repository, directory);
        if (metadata === undefined) return;
        if (latest ? metadata.sources.some(holds) : metadata.id.startsWith(text))
          found.push({ metadata, dataKey: prove(metadata) });
      });
    } catch (error) {
      problems.push({ directory, error });
    }
    if (latest && found.length > 0) break;
  }
  if (found.length === 0)
    throw (
      problems[0]?.error ?? usage(latest ? `no backup holds a source "${sourceName}"` : `no backup has the id ${text}`)
    );
  for (const { directory, error } of problems) note(`warning: backup ${directory} is left out: ${error.message}`);
  if (found.length > 1) throw usage(`${found.length} backups begin with ${text}: write more of the id`);
  return found[0];
}

/** Refuses before anything is read what could have been planted by whoever writes to the storage. */
function prove(repository, metadata, secrets, allowUnencrypted) {
  const keyGiven = secrets.key !== undefined || secrets.passphrase !== undefined;
  if (metadata.encrypted !== true && allowUnencrypted && (metadata.key_id === null || !keyGiven)) {
    note("note: this backup is not encrypted; that nobody else made or changed it is not proven");
    if (metadata.key_id === null && !macFits(metadata, undefined))
      throw damaged("metadata.json is damaged: its mac is wrong");
    return undefined;
  }
  if (metadata.encrypted !== true && metadata.key_id === null && keyGiven) {
    throw new RecoveryError(
      NO_KEY,
      `backup ${metadata.id} is not encrypted and no key proves it; if you know it to be yours: --allow-unencrypted`,
    );
  }
  return authenticate(repository, metadata, secrets);
}

function restore(repository, [text, sourceName, ...more], options, secrets) {
  const to = options["--to"];
  if (text === undefined || sourceName === undefined || more.length > 0)
    throw usage("restore needs DIR, BACKUP and SOURCE");
  if (to === undefined) throw usage("say where to restore to with --to PATH");
  const place = path.resolve(to);
  if (fs.lstatSync(place, { throwIfNoEntry: false }) !== undefined && !isEmptyDirectory(place)) {
    throw usage(`${place} exists and is not an empty folder; choose another place`);
  }
  if (!fs.existsSync(path.dirname(place))) throw usage(`${path.dirname(place)} does not exist`);
  const limited = text === "latest" ? { ...secrets, mostSalts: MOST_SALTS } : secrets;
  const { metadata, dataKey } = findBackup(repository, text, sourceName, (candidate) =>
    prove(repository, candidate, limited, options.allowUnencrypted === true),
  );
  const source = metadata.sources.find(({ name }) => name === sourceName);
  if (source?.root === undefined) {
    const names = metadata.sources.filter(({ root }) => root !== undefined).map(({ name }) => name);
    throw usage(`backup ${metadata.id} has no source "${sourceName}"; it has ${names.join(", ") || "none"}`);
  }
  note(`restoring ${sourceName} of ${metadata.timestamp} (${metadata.id}, ${metadata.mode})`);
  const root = readRoot(repository, metadata, source, dataKey, secrets);
  const reader = new ChunkReader(repository, root.objects);
  const tree = source.kind === "tree";
  const found = surveyIndex(root, reader, source.kind);
  const part = options["--part"];
  if (tree && part !== undefined) throw usage(`"${sourceName}" is a tree of files, which has no parts`);
  let leftOut = 0;
  if (tree) leftOut = restoreTree(root, reader, place);
  else restoreStream(root, reader, place, source, found.parts, part);
  if (found.xattrs > 0) note(`note: extended attributes and ACLs of ${found.xattrs} entries were not restored`);
  if (found.changed > 0) note(`note: ${found.changed} files changed while the backup read them`);
  if (source.status !== "completed")
    note(`note: the backup of this source is ${source.status}, ${source.unreadable} entries could not be read`);
  return leftOut > 0 ? PARTLY : 0;
}

function main(args) {
  const { options, words } = parseArguments(args);
  const [command, directory, ...rest] = words;
  if (options.help || command === undefined || command === "help") {
    process.stdout.write(HELP);
    return options.help || command === "help" ? 0 : USAGE;
  }
  if (command !== "list" && command !== "restore") throw usage(`unknown command ${command}`);
  const repository = requireRepository(directory);
  const secrets = readSecrets(options);
  if (command === "restore") return reading(`backup ${rest[0]}`, () => restore(repository, rest, options, secrets));
  return list(repository, secrets);
}

process.stdout.on("error", (error) => {
  if (error.code === "EPIPE") process.exit(READER_GONE);
  note(
    `error: standard output does not take what this program says: ${error.message}; nothing else is lost, so send it elsewhere`,
  );
  process.exit(FAILED);
});
// What it would say of that nobody would read, either.
process.stderr.on("error", () => undefined);

try {
  process.exitCode = main(process.argv.slice(2));
} catch (error) {
  if (error instanceof RecoveryError) note(`error: ${error.message}`);
  else for (const line of (error.code === undefined ? error.stack : error.message).split("\n")) note(`error: ${line}`);
  process.exitCode = error instanceof RecoveryError ? error.code : FAILED;
}
