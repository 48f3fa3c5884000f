import type { Forgery } from "./forge.ts";

/**
 * Roots and indexes that say what docs/format.md says must be refused, for every reader. They are made of the differential
 * backup of the fixture `open-zstd`, whose index of `notes` is: home, home/…, then files, a symlink, the end.
 */

type Json = Record<string, unknown>;
type Lines = readonly string[];
type Change = (line: Json) => Json;

export interface NamedForgery extends Forgery {
  readonly what: string;
  readonly source: "notes" | "app";
}

function changed(lines: Lines, at: number, change: Change): Lines {
  const place = at < 0 ? lines.length + at : at;
  return lines.map((line, i) => (i === place ? JSON.stringify(change(JSON.parse(line))) : line));
}

function listOf(value: unknown): readonly Json[] {
  return Array.isArray(value) ? value : [];
}

function root(what: string, at: number, change: Change): NamedForgery {
  return { what: `a root ${what}`, source: "notes", root: (lines) => changed(lines, at, change) };
}

function withTuple(what: string, place: number, value: unknown): NamedForgery {
  return root(`with a chunk's ${what}`, 1, ({ chunks }) => ({
    chunks: listOf(chunks).map((tuple) => Object.values(tuple).with(place, value)),
  }));
}

/** The first entry of that type. */
export function entry(what: string, type: string, change: Change): NamedForgery {
  const index = (lines: Lines): Lines =>
    changed(
      lines,
      lines.findIndex((line) => line.includes(`"type":"${type}"`)),
      change,
    );
  return { what: `a tree with ${what}`, source: "notes", index };
}

/** Another entry behind the last, which keeps the order and makes the counts right. */
function added(what: string, make: (last: Json) => readonly Json[]): NamedForgery {
  const index = (lines: Lines): Lines => {
    const entries = lines.slice(0, -1);
    const more = make(JSON.parse(entries.at(-1) ?? ""));
    const end: Json = JSON.parse(lines.at(-1) ?? "");
    const count = (type: string): number => more.filter((item) => item.type === type).length;
    const counted = {
      entries: Number(end.entries) + more.length,
      files: Number(end.files) + count("file"),
      directories: Number(end.directories) + count("directory"),
      symlinks: Number(end.symlinks) + count("symlink"),
    };
    return [...entries, ...more.map((item) => JSON.stringify(item)), JSON.stringify({ ...end, ...counted })];
  };
  return { what: `a tree with ${what}`, source: "notes", index };
}

const EMPTY = { size: 0, mode: 420, uid: 0, gid: 0, mtime: "0", ctime: "0", inode: "1" };
const file = (name: string): Json => ({ name, type: "file", ...EMPTY });
const symlink = (name: string): Json => ({ name, type: "symlink", ...EMPTY, link: "/tmp" });
const directory = (name: string): Json => ({ name, type: "directory", ...EMPTY });

const OTHER_ID = "11111111-2222-4333-8444-555555555555";
const ROOTS: readonly NamedForgery[] = [
  root("of another backup", 0, (line) => ({ ...line, backup_id: OTHER_ID })),
  root("of another source", 0, (line) => ({ ...line, source: "app" })),
  root("of another kind", 0, (line) => ({ ...line, kind: "sqlite" })),
  root("of a newer version", 0, (line) => ({ ...line, version: 2 })),
  root("with another path in its lineage", 0, (line) => ({
    ...line,
    lineage: listOf(line.lineage).map((member) => ({
      ...member,
      path: String(member.path).replace("02-00-00", "02-00-01"),
    })),
  })),
  root("with another checksum in its lineage", 0, (line) => ({
    ...line,
    lineage: listOf(line.lineage).map((member) =>
      member.checksum === undefined ? member : { ...member, checksum: `sha256:${"0".repeat(64)}` },
    ),
  })),
  root("with a longer lineage", 0, (line) => {
    const [first = {}, ...others] = listOf(line.lineage);
    return { ...line, lineage: [{ ...first, id: OTHER_ID }, first, ...others] };
  }),
  root("with an artifact of its own backup that the metadata does not name", 0, (line) => {
    const objects = listOf(line.objects);
    return { ...line, objects: [...objects, { ...objects.at(-1), n: objects.length, artifact_id: "f".repeat(32) }] };
  }),
  root("with an object of a backup outside the lineage", 0, (line) => {
    const objects = listOf(line.objects);
    return { ...line, objects: [...objects, { ...objects.at(-1), n: objects.length, origin: OTHER_ID }] };
  }),
  root("with objects that are misnumbered", 0, (line) => {
    const objects = listOf(line.objects);
    return { ...line, objects: [...objects, objects.at(-1)] };
  }),
  root("with an object that lies elsewhere", 0, (line) => ({
    ...line,
    objects: listOf(line.objects).map((object) => ({ ...object, name: `../${String(object.name)}` })),
  })),
  root("with a wrong count", -1, (line) => ({ ...line, chunks: 2 })),
  root("with another size", -1, (line) => ({ ...line, size: Number(line.size) + 1 })),
  root("with another index", -1, (line) => ({ ...line, index_sha256: "0".repeat(64) })),
  root("with another size of the index", -1, (line) => ({ ...line, index_size: Number(line.index_size) + 1 })),
  { what: "a root without a last line", source: "notes", root: (lines) => lines.slice(0, -1) },
  withTuple("length over 16 MiB", 1, 16 * 2 ** 20 + 1),
  withTuple("object that is not there", 2, 99),
  withTuple("object that is none", 2, "0"),
  withTuple("pack over 99,999,999", 3, 100_000_000),
  withTuple("block offset over 32 MiB", 4, 32 * 2 ** 20 + 1),
  withTuple("block offset below zero", 4, -28),
  withTuple("block offset between bytes", 4, 28.5),
  withTuple("stored length over 16 MiB + 1 KiB", 5, 16 * 2 ** 20 + 1025),
  withTuple("offset in block over 16 MiB", 6, 16 * 2 ** 20 + 1),
  withTuple("hash in capitals", 0, "A".repeat(64)),
  root("with a chunk of six members", 1, ({ chunks }) => ({
    chunks: listOf(chunks).map((tuple) => Object.values(tuple).slice(0, 6)),
  })),
];

const TREES: readonly NamedForgery[] = [
  entry("a name of two dots", "file", (line) => ({ ...line, name: `${String(line.name)}/../x` })),
  entry("a name that begins with a slash", "directory", (line) => ({ ...line, name: `/${String(line.name)}` })),
  entry("a name with an empty member", "file", (line) => ({ ...line, name: `${String(line.name)}//x` })),
  entry("a name with a zero byte", "file", (line) => ({ ...line, name: `${String(line.name)}\0` })),
  entry("a name that is not there", "file", ({ name: _, ...line }) => line),
  entry("a size that its chunks do not make up", "file", (line) => ({ ...line, size: Number(line.size) + 1 })),
  entry("an unknown type", "symlink", (line) => ({ ...line, type: "socket" })),
  entry("a symlink that leads nowhere", "symlink", ({ link: _, ...line }) => line),
  entry("an owner that is no number", "file", (line) => ({ ...line, uid: null })),
  entry("a mode below zero", "directory", (line) => ({ ...line, mode: -1 })),
  entry("a time that is none", "file", (line) => ({ ...line, mtime: "yesterday" })),
  entry("a hole behind its end", "file", (line) => ({ ...line, holes: [[Number(line.size) + 10, 0]] })),
  added("a name that came twice", (last) => [last]),
  added("entries out of order", () => [file("zz"), file("z")]),
  added("an entry below a symlink", () => [symlink("z"), file("z/x")]),
  added("an entry below a file", () => [file("z"), directory("z/x")]),
  {
    what: "a tree without a last line",
    source: "notes",
    index: (lines) => lines.slice(0, -1),
  },
  { what: "a tree with lines behind the last", source: "notes", index: (lines) => [...lines, '{"end":true}'] },
  {
    what: "a tree with a wrong count",
    source: "notes",
    index: (lines) => changed(lines, -1, (line) => ({ ...line, entries: 1 })),
  },
];

const stream = (what: string, at: number, change: Change): NamedForgery => ({
  what: `a stream with ${what}`,
  source: "app",
  index: (lines) => changed(lines, at, change),
});

/** The first chunk with one of its numbers made larger. */
function withBlock(chunks: unknown, place: number, by: number): Json {
  const [first = {}, ...others] = listOf(chunks);
  const tuple = Object.values(first);
  return { chunks: [tuple.with(place, Number(tuple[place]) + by), ...others] };
}

const STREAMS: readonly NamedForgery[] = [
  stream("a wrong count of bytes", -1, (line) => ({ ...line, bytes: Number(line.bytes) - 1 })),
  stream("a wrong count of entries", -1, (line) => ({ ...line, entries: Number(line.entries) + 1 })),
  stream("an entry behind its end", 1, (line) => ({ ...line, offset: 1 })),
  stream("a chunk that is missing", 0, () => ({ chunks: [] })),
  stream("a name of two dots", 1, (line) => ({ ...line, name: ".." })),
  stream("a name that begins with a slash", 1, (line) => ({ ...line, name: "/tmp/backupctl-escaped.db" })),
  stream("a name that leads elsewhere", 1, (line) => ({ ...line, name: `../../escaped-${String(line.name)}` })),
  stream("a name that leads through a folder", 1, (line) => ({ ...line, name: `folder/${String(line.name)}` })),
  stream("a name with a zero byte", 1, (line) => ({ ...line, name: `${String(line.name)}\0` })),
  stream("no name at all", 1, (line) => ({ ...line, name: "" })),
  { what: "a stream without a last line", source: "app", index: (lines) => lines.slice(0, -1) },
  { what: "a stream with lines behind the last", source: "app", index: (lines) => [...lines, '{"end":true}'] },
];

const metadata = (what: string, change: Change): NamedForgery => ({
  what: `metadata ${what}`,
  source: "notes",
  metadata: change,
});

/** Of a file that is called `<source>.<kind>` it would make one in the folder above. */
const KIND_OUTSIDE = "/../../escaped";

const METADATA: readonly NamedForgery[] = [
  metadata("of another place", (content) => ({
    ...content,
    storage_path: String(content.storage_path).replace("8e", "8f"),
  })),
  metadata("of another repository", (content) => ({ ...content, repository_id: OTHER_ID })),
  metadata("whose time is not that of their place", (content) => ({
    ...content,
    timestamp: "2026-01-12T03:00:00.000Z",
  })),
  metadata("whose mode is not that of their place", (content) => ({ ...content, mode: "incremental" })),
  metadata("whose class is not that of their place", (content) => ({ ...content, category: "daily" })),
  metadata("with a parent that is not in the lineage", (content) => ({ ...content, parent_id: OTHER_ID })),
  metadata("with a lineage that lacks the parent", (content) => ({
    ...content,
    lineage: listOf(content.lineage).slice(1),
    parent_id: null,
  })),
  metadata("with a lineage that ends elsewhere", (content) => ({
    ...content,
    lineage: listOf(content.lineage).toReversed(),
    parent_id: content.id,
  })),
  metadata("with a lineage that lacks a checksum", (content) => ({
    ...content,
    lineage: listOf(content.lineage).map(({ checksum: _, ...member }) => member),
  })),
  metadata("with a lineage that has an empty place", (content) => ({
    ...content,
    lineage: [null, ...listOf(content.lineage).slice(1)],
  })),
  metadata("with a source that is none", (content) => ({ ...content, sources: [...listOf(content.sources), null] })),
  metadata("with an artifact that is none", (content) => ({
    ...content,
    sources: listOf(content.sources).map((source) => ({ ...source, root: [] })),
  })),
  metadata("that are encrypted without a key", (content) => ({ ...content, encrypted: true })),
  {
    what: "metadata with a kind that is a path",
    source: "app",
    root: (lines) => changed(lines, 0, (line) => ({ ...line, kind: KIND_OUTSIDE })),
    metadata: (content) => ({
      ...content,
      sources: listOf(content.sources).map((source) =>
        source.name === "app" ? { ...source, kind: KIND_OUTSIDE } : source,
      ),
    }),
  },
];

/** Nothing changed: what a forgery is compared with. */
export const FORGED_AS_IT_WAS: readonly NamedForgery[] = [
  { what: "notes", source: "notes" },
  { what: "app", source: "app" },
  added("an entry whose parents have none", () => [file("z/y/x")]),
];

export const FORGERIES: readonly NamedForgery[] = [...METADATA, ...ROOTS, ...TREES, ...STREAMS];

/** Who reads the index alone can't tell; who reads what it refers to must. */
export const BLOCK_FORGERIES: readonly NamedForgery[] = [
  stream("a chunk of a block that is not there", 0, ({ chunks }) => withBlock(chunks, 4, 1)),
  stream("a chunk of a block of another length", 0, ({ chunks }) => withBlock(chunks, 5, 1)),
  stream("a chunk of an object that the root does not list", 0, ({ chunks }) => withBlock(chunks, 2, 90)),
];
