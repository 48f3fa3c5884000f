import fc from "fast-check";
import type { StreamEntry, TreeNode } from "../../src/domain/artifact.ts";
import { MAX_PACK_NUMBER } from "../../src/domain/object-names.ts";
import { MAX_BLOCK_RAW_BYTES, MAX_BLOCK_STORED_BYTES, MAX_PACK_BYTES } from "../../src/format/block.ts";
import type { TreeEntry } from "../../src/format/index-reader.ts";
import type { ChunkRef } from "../../src/format/root.ts";
import { CHUNKS_PER_LINE, type LineParts } from "../../src/format/tree-line.ts";
import { compareNames } from "../../src/platform/walk.ts";

/** Whatever an index may hold: what writers can be given, and what readers must give back of it. */

const count = (max: number = Number.MAX_SAFE_INTEGER) =>
  fc.oneof(fc.nat({ max: Math.min(max, 2 ** 31 - 1) }), fc.constant(max));
const text = fc.string({ unit: "binary" });
const hex = (digits: number) =>
  fc.uint8Array({ minLength: digits / 2, maxLength: digits / 2 }).map((bytes) => Buffer.from(bytes).toString("hex"));

const chunk: fc.Arbitrary<ChunkRef> = fc.record({
  sha256: hex(64),
  length: count(MAX_BLOCK_RAW_BYTES),
  object: count(),
  pack: count(MAX_PACK_NUMBER),
  blockOffset: count(MAX_PACK_BYTES),
  blockStored: count(MAX_BLOCK_STORED_BYTES),
  offsetInBlock: count(MAX_BLOCK_RAW_BYTES),
});

/** Few, or as many as a line has, or two: one less and one more as well. */
export const chunkRefs: fc.Arbitrary<readonly ChunkRef[]> = fc.oneof(
  { weight: 9, arbitrary: fc.array(chunk, { maxLength: 3 }) },
  {
    weight: 1,
    arbitrary: fc
      .tuple(chunk, fc.constantFrom(1, 2), fc.integer({ min: -1, max: 1 }))
      .map(([one, lines, more]) => new Array<ChunkRef>(lines * CHUNKS_PER_LINE + more).fill(one)),
  },
);

export function tupleText(chunk: ChunkRef): string {
  const { sha256, length, object, pack, blockOffset, blockStored, offsetInBlock } = chunk;
  return JSON.stringify([sha256, length, object, pack, blockOffset, blockStored, offsetInBlock]);
}

/** Members of paths, among them such as sort otherwise than a dictionary would have it, and such as are not UTF-8. */
const member = fc.oneof(
  fc
    .constantFrom("a", "b", "a.b", "a-b", "...", "\u2028", "é", '"', "\\", "a\nb", "{}")
    .map((part) => Buffer.from(part)),
  fc
    .uint8Array({ minLength: 1, maxLength: 4 })
    .map((bytes) => Buffer.from(bytes.map((byte) => (byte === 0 || byte === 0x2f ? 0xff : byte))))
    .filter((bytes) => !/^\.{1,2}$/.test(bytes.toString("latin1"))),
);

const names = fc.array(fc.array(member, { minLength: 1, maxLength: 4 }), { maxLength: 12 }).map((paths) => {
  const joined = paths.map((parts) =>
    Buffer.concat(parts.flatMap((part, i) => (i === 0 ? [part] : [Buffer.from("/"), part]))),
  );
  const unique = new Map(joined.map((name) => [name.toString("latin1"), name]));
  return [...unique.values()].sort(compareNames);
});

const nanoseconds = fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n });

interface Facts extends Omit<TreeNode, "name" | "size" | "statAtNs" | "blocks" | "link" | "attributes"> {
  readonly link: Buffer;
  readonly attributes: Readonly<Record<string, string>> | undefined;
  readonly parts: Pick<LineParts, "untrusted" | "changed">;
  readonly chunks: readonly ChunkRef[];
  /** Gap before each hole, and its length. */
  readonly holes: readonly (readonly [number, number])[];
}

const facts: fc.Arbitrary<Facts> = fc
  .record({
    type: fc.constantFrom("file", "file", "directory", "symlink"),
    mode: fc.nat(0o7777),
    uid: count(2 ** 32 - 1),
    gid: count(2 ** 32 - 1),
    owners: fc.record(
      { user: text, group: text, hardLink: fc.nat().map((inode) => `64769:${inode}`) },
      { requiredKeys: [] },
    ),
    mtimeNs: nanoseconds,
    ctimeNs: nanoseconds,
    inode: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }),
    link: fc.uint8Array({ minLength: 1 }).map((bytes) => Buffer.from(bytes)),
    attributes: fc.option(
      fc.dictionary(
        text.map((name) => `user.${name}`),
        fc.base64String(),
      ),
      { nil: undefined },
    ),
    parts: fc.record({ untrusted: fc.boolean(), changed: fc.boolean() }),
    chunks: chunkRefs,
    holes: fc.array(fc.tuple(fc.nat(1000), fc.nat(1000)), { maxLength: 3 }),
  })
  .map(({ owners, ...others }) => ({ ...others, ...owners }) as const);

export interface ArbitraryEntry {
  /** What the entry's lines are made of. */
  readonly node: TreeNode;
  readonly parts: Omit<LineParts, "statPart">;
  /** What a reader gives of it. */
  readonly read: TreeEntry;
}

/** The entries of a tree, in order; what has others below it is a directory. */
export const treeEntries: fc.Arbitrary<readonly ArbitraryEntry[]> = names.chain((sorted) =>
  fc
    .array(facts, { minLength: sorted.length, maxLength: sorted.length })
    .map((all) => all.map((one, i) => entryOf(sorted[i] ?? Buffer.alloc(0), one, sorted))),
);

function entryOf(name: Buffer, given: Facts, all: readonly Buffer[]): ArbitraryEntry {
  const below = Buffer.concat([name, Buffer.from("/")]);
  const type = all.some((other) => other.subarray(0, below.length).equals(below)) ? "directory" : given.type;
  const {
    link,
    attributes,
    parts,
    chunks: everyChunk,
    holes: gaps,
    mode,
    uid,
    gid,
    user,
    group,
    hardLink,
    mtimeNs,
    ...more
  } = given;
  const chunks = type === "file" ? everyChunk : [];
  const held = chunks.reduce((sum, { length }) => sum + length, 0);
  const holes = type === "file" ? placed(gaps, held) : [];
  const size = holes.reduce((sum, [, length]) => sum + length, held);
  const read = { name, type, size, mode, uid, gid, mtimeNs, holes, chunks, attributes } as const;
  const optional = {
    ...(user !== undefined && { user }),
    ...(group !== undefined && { group }),
    ...(hardLink !== undefined && { hardLink }),
  };
  return {
    node: {
      ...{
        name,
        type,
        size,
        mode,
        uid,
        gid,
        mtimeNs,
        ctimeNs: more.ctimeNs,
        inode: more.inode,
        blocks: 0,
        statAtNs: 0n,
      },
      ...optional,
      ...(type === "symlink" && { link }),
    },
    parts: { ...parts, attributes, holes, chunks: chunks.map(tupleText) },
    read: { ...read, user, group, hardLink, changed: parts.changed, link: type === "symlink" ? link : undefined },
  };
}

/** Holes with gaps between them that the chunks fill, as far as these go. */
function placed(gaps: readonly (readonly [number, number])[], held: number): readonly (readonly [number, number])[] {
  let at = 0;
  let left = held;
  return gaps.map(([gap, length]) => {
    const before = Math.min(gap, left);
    left -= before;
    const offset = at + before;
    at = offset + length;
    return [offset, length] as const;
  });
}

/** Named ranges of a stream of so many bytes, with facts of any kind. */
export function streamEntries(size: number): fc.Arbitrary<readonly StreamEntry[]> {
  const fact = fc.dictionary(
    text.map((name) => `x${name}`),
    fc.jsonValue(),
    { maxKeys: 3 },
  );
  const range = fc
    .tuple(fc.nat(size), fc.nat(size))
    .map(([a, b]) => ({ offset: Math.min(a, b), size: Math.abs(a - b) }));
  const one = fc.tuple(text, text, range, fact).map(([name, type, at, others]) => ({ name, type, ...at, ...others }));
  return fc.array(one, { maxLength: 6 });
}
