import {
  type BackupId,
  type BackupType,
  CATEGORIES,
  type Category,
  type CompressionAlgorithm,
  MODES,
  type Mode,
} from "./backup.ts";

/** The names of everything that lies in storage (FORMAT, "Objects"): made here, and read back here. */
export const MARKER_NAME = "backupctl.json";
export const METADATA_NAME = "metadata.json";
export const SHA256SUMS_NAME = "SHA256SUMS";
export const DELETED_NAME = "deleted.json";
/** Put to see whether the login may write; it stays where that may not remove it. */
export const TRIAL_NAME = "trial";
/** n of the keys object that a backup is made with. */
export const FIRST_KEYS = 1;
export const MAX_PACK_NUMBER = 99_999_999;
/** n of keys and notes objects. */
export const MAX_NUMBER = 999_999_999;

const NAME = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const DIRECTORY = /^([^/]+)\/([^/]+)\/(\d{4}-\d{2}-\d{2})\/([a-z]+)-(\d{2}-\d{2}-\d{2})-([0-9a-f]{8})$/;
const NUMBERED = /^(keys|notes)-(0|[1-9]\d{0,8})-([0-9a-f]{8})\.json$/;
const EXTENSIONS: Readonly<Record<CompressionAlgorithm, string>> = { zstd: "zst", gzip: "gz", none: "raw" };

/** The grammar of source, kind, component and type names: they are parts of object names. */
export function isName(text: string): boolean {
  return NAME.test(text);
}

interface BackupDirectory {
  readonly type: BackupType;
  readonly category: Category;
  /** UTC, `YYYY-MM-DD`. */
  readonly date: string;
  readonly mode: Mode;
  /** UTC, `HH-MM-SS`. */
  readonly time: string;
  /** The first 8 hex digits of the backup's id. */
  readonly idPrefix: string;
}

/** Where a backup lies, relative to the storage's prefix. `timestamp` is ISO 8601 in UTC. */
export function backupDirectory(backup: {
  readonly type: BackupType;
  readonly category: Category;
  readonly mode: Mode;
  readonly timestamp: string;
  readonly id: BackupId;
}): string {
  const iso = new Date(backup.timestamp).toISOString();
  const time = iso.slice(11, 19).replaceAll(":", "-");
  return `${backup.type}/${backup.category}/${iso.slice(0, 10)}/${backup.mode}-${time}-${backup.id.slice(0, 8)}`;
}

/** `undefined` if no backup can lie there. */
export function parseBackupDirectory(path: string): BackupDirectory | undefined {
  const match = DIRECTORY.exec(path);
  if (match === null) return undefined;
  const [, type = "", categoryText, date = "", modeText, time = "", idPrefix = ""] = match;
  const category = CATEGORIES.find((candidate) => candidate === categoryText);
  const mode = MODES.find((candidate) => candidate === modeText);
  if (!isName(type) || category === undefined || mode === undefined || !isRealTime(date, time)) return undefined;
  return { type, category, date, mode, time, idPrefix };
}

/** What the directory of a backup says of it, its second of `timestamp` included. @throws `RangeError` for another path */
export function directoryFacts(path: string): BackupDirectory & { readonly timestamp: string } {
  const parsed = parseBackupDirectory(path);
  if (parsed === undefined) throw new RangeError(`${path} is not the directory of a backup`);
  return { ...parsed, timestamp: instantOf(parsed.date, parsed.time) };
}

function instantOf(date: string, time: string): string {
  return `${date}T${time.replaceAll("-", ":")}.000Z`;
}

function isRealTime(date: string, time: string): boolean {
  const iso = instantOf(date, time);
  const parsed = new Date(iso);
  return !Number.isNaN(parsed.getTime()) && parsed.toISOString() === iso;
}

/** Splits an object's key into the backup's directory and the name in it; `undefined` for keys outside backups. */
export function splitObjectKey(key: string): { readonly directory: string; readonly name: string } | undefined {
  const slash = key.lastIndexOf("/");
  const directory = key.slice(0, Math.max(slash, 0));
  return parseBackupDirectory(directory) === undefined ? undefined : { directory, name: key.slice(slash + 1) };
}

export interface ArtifactName {
  readonly source: string;
  readonly kind: string;
  /** What the artifact holds: the source's bytes, its index, or its root. */
  readonly part: "data" | "index" | "root";
  readonly compression: CompressionAlgorithm;
  readonly encrypted: boolean;
}

/** An artifact's object name without the pack number, e.g. `app.pgdump.index.zst.enc`. */
export function artifactName(artifact: ArtifactName): string {
  const part = artifact.part === "data" ? "" : `.${artifact.part}`;
  const sealed = artifact.encrypted ? ".enc" : "";
  return `${artifact.source}.${artifact.kind}${part}.${EXTENSIONS[artifact.compression]}${sealed}`;
}

export function parseArtifactName(name: string): ArtifactName | undefined {
  const words = name.split(".");
  const encrypted = words.at(-1) === "enc";
  if (encrypted) words.pop();
  const compression = compressionOf(words.pop());
  const [source = "", kind = "", ...rest] = words;
  const part = partOf(rest);
  if (compression === undefined || part === undefined || !isName(source) || !isName(kind)) return undefined;
  return { source, kind, part, compression, encrypted };
}

function partOf(words: readonly string[]): ArtifactName["part"] | undefined {
  if (words.length === 0) return "data";
  if (words.length > 1) return undefined;
  const [word] = words;
  return word === "index" || word === "root" ? word : undefined;
}

function compressionOf(extension: string | undefined): CompressionAlgorithm | undefined {
  if (extension === EXTENSIONS.zstd) return "zstd";
  if (extension === EXTENSIONS.gzip) return "gzip";
  return extension === EXTENSIONS.none ? "none" : undefined;
}

/** One pack of an artifact: `app.pgdump.zst.enc.00000000`. */
export function packName(artifact: string, packNumber: number): string {
  if (!Number.isInteger(packNumber) || packNumber < 0 || packNumber > MAX_PACK_NUMBER) {
    throw new RangeError(`pack number ${packNumber} is outside 0 to ${MAX_PACK_NUMBER}`);
  }
  return `${artifact}.${String(packNumber).padStart(8, "0")}`;
}

interface PackName {
  /** The artifact's name without the pack number. */
  readonly name: string;
  readonly artifact: ArtifactName;
  readonly packNumber: number;
}

export function parsePackName(text: string): PackName | undefined {
  const match = /^(.+)\.(\d{8})$/.exec(text);
  const name = match?.[1];
  const artifact = name === undefined ? undefined : parseArtifactName(name);
  return name === undefined || artifact === undefined ? undefined : { name, artifact, packNumber: Number(match?.[2]) };
}

/** `keys-<n>-<8 hex>.json` and `notes-<n>-<8 hex>.json`: n orders them, the hex keeps two writers of one n apart. */
interface NumberedName {
  readonly family: "keys" | "notes";
  readonly n: number;
  readonly writer: string;
}

export function numberedName(name: NumberedName): string {
  const text = `${name.family}-${name.n}-${name.writer}.json`;
  if (!NUMBERED.test(text)) throw new RangeError(`${text} is not a valid object name`);
  return text;
}

export function parseNumberedName(text: string): NumberedName | undefined {
  const match = NUMBERED.exec(text);
  const writer = match?.[3];
  if (match === null || writer === undefined) return undefined;
  return { family: match[1] === "keys" ? "keys" : "notes", n: Number(match[2]), writer };
}

type ObjectRole = "pack" | "sums" | "keys" | "notes" | "metadata" | "deleted" | "trial" | "unknown";

/** What an object in a backup's directory is, by its name. */
export function roleOf(name: string): ObjectRole {
  if (name === METADATA_NAME) return "metadata";
  if (name === SHA256SUMS_NAME) return "sums";
  if (name === DELETED_NAME) return "deleted";
  if (name === TRIAL_NAME) return "trial";
  return parseNumberedName(name)?.family ?? (parsePackName(name) === undefined ? "unknown" : "pack");
}

/**
 * What lies in a backup's directory, by the names in all of its copies. `SHA256SUMS` and keys come after all packs: where they are
 * without metadata.json, and nobody deletes it, a whole backup may have been.
 */
export function directoryState(names: readonly string[]): "backup" | "deleting" | "damaged" | "unfinished" {
  const roles = new Set(names.map(roleOf));
  if (roles.has("metadata")) return "backup";
  if (roles.has("deleted")) return "deleting";
  return roles.has("sums") || roles.has("keys") ? "damaged" : "unfinished";
}
