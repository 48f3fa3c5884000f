import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import type { TreeNode } from "../../src/domain/artifact.ts";
import { DamageError } from "../../src/format/block.ts";
import {
  isRacy,
  isUnchanged,
  type LineParts,
  nameOfLine,
  saysTheSame,
  statPart,
  treeLines,
} from "../../src/format/tree-line.ts";

const NODE: TreeNode = {
  name: Buffer.from("srv/www/index.html"),
  type: "file",
  size: 12,
  mode: 0o644,
  uid: 33,
  gid: 33,
  user: "www-data",
  group: "www-data",
  mtimeNs: 1_700_000_000_123_456_789n,
  ctimeNs: 1_700_000_000_123_456_789n,
  inode: 2n ** 63n,
  blocks: 8,
  statAtNs: 1_800_000_000_000_000_000n,
};

/** Names with what is hard in them: quotes, escapes, line feeds, bytes that are not UTF-8, a byte order mark. */
const name = fc
  .array(
    fc.oneof(
      fc.constantFrom(
        ...['"', "\\", "\n", "/", "a", "\u0000", "é", "\u{1f600}", "\ufeff"].map((text) => Buffer.from(text)),
      ),
      fc.uint8Array({ minLength: 1, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    ),
    { minLength: 1, maxLength: 8 },
  )
  .map((parts) => Buffer.concat(parts));

function lines(node: TreeNode, more: Partial<LineParts> = {}): string {
  const rest = { untrusted: false, changed: false, attributes: undefined, holes: [], chunks: [] };
  return treeLines({ statPart: statPart(node), ...rest, ...more });
}

const firstLine = (text: string): Buffer => Buffer.from(text.slice(0, text.indexOf("\n")));

describe("a line", () => {
  it("is one line of JSON whatever the name and link, and gives the name back", () => {
    fc.assert(
      fc.property(name, name, (given, link) => {
        const text = lines({ ...NODE, name: given, type: "symlink", link });

        expect(text.indexOf("\n")).toBe(text.length - 1);
        expect(nameOfLine(firstLine(text))).toEqual(given);
        const fields = JSON.parse(text);
        const linkBytes =
          fields.link_b64 === undefined ? Buffer.from(fields.link) : Buffer.from(fields.link_b64, "base64");
        expect(linkBytes).toEqual(link);
      }),
    );
  });

  it("says everything that stat does, numbers above 2^53 as texts", () => {
    const node = { ...NODE, hardLink: "64769:12" };
    const more = { holes: [[0, 65_536]] as const, chunks: [`["${"ab".repeat(32)}",12,0,0,28,30,0]`] };

    expect(JSON.parse(lines(node, { ...more, attributes: { "user.b": "Qg==", "user.a": "QQ==" } }))).toEqual({
      name: "srv/www/index.html",
      type: "file",
      size: 12,
      mode: 0o644,
      uid: 33,
      gid: 33,
      user: "www-data",
      group: "www-data",
      mtime: "1700000000123456789",
      ctime: "1700000000123456789",
      inode: "9223372036854775808",
      hard_link: "64769:12",
      xattrs: { "user.a": "QQ==", "user.b": "Qg==" },
      holes: [[0, 65_536]],
      chunks: [["ab".repeat(32), 12, 0, 0, 28, 30, 0]],
    });
  });

  it("does not depend on the order in which the attributes came", () => {
    const one = { "user.a": "QQ==", "user.b": "Qg==" };
    const other = { "user.b": "Qg==", "user.a": "QQ==" };

    expect(lines(NODE, { attributes: one })).toBe(lines(NODE, { attributes: other }));
  });

  it.each([
    [1, 1],
    [512, 1],
    [513, 2],
    [1024, 2],
    [1025, 3],
  ])("of %i chunks is %i lines, at most 512 chunks each, in order", (count, expected) => {
    const chunks = Array.from({ length: count }, (_, i) => `[${i}]`);

    const written = lines(NODE, { chunks }).trimEnd().split("\n");

    expect(written).toHaveLength(expected);
    const parsed = written.map((line) => JSON.parse(line));
    expect(parsed.map(({ more }) => more)).toEqual([undefined, 1, 2].slice(0, expected));
    expect(parsed.flatMap(({ chunks: part }) => part)).toEqual(chunks.map((chunk) => JSON.parse(chunk)));
    for (const { chunks: part } of parsed) expect(part.length).toBeLessThanOrEqual(512);
  });

  it("that is no entry's has no name", () => {
    for (const line of ['{"more":1,"chunks":[]}', '{"end":true}', '{"chunks":[]}', ""]) {
      expect(nameOfLine(Buffer.from(line))).toBeUndefined();
    }
    expect(() => nameOfLine(Buffer.from('{"name":"cut\\"'))).toThrow("ends inside a name");
    expect(() => nameOfLine(Buffer.from('{"name":"\\q"'))).toThrow(DamageError);
  });
});

describe("an unchanged entry", () => {
  const isSame = (line: string, node: TreeNode) => isUnchanged(firstLine(line), Buffer.from(statPart(node)));

  it("is known by its line, with or without what follows the stat", () => {
    expect(isSame(lines(NODE), NODE)).toBe(true);
    expect(isSame(lines(NODE, { chunks: ["[1]"], attributes: { "user.a": "" } }), NODE)).toBe(true);
  });

  it.each<[string, Partial<TreeNode>]>([
    ["name", { name: Buffer.from("srv/www/index.htm") }],
    ["size", { size: 13 }],
    ["mode", { mode: 0o600 }],
    ["owner", { uid: 34 }],
    ["group's name", { group: "www" }],
    ["modification time", { mtimeNs: NODE.mtimeNs + 1n }],
    ["change time", { ctimeNs: NODE.ctimeNs + 1n }],
    ["inode", { inode: 3n }],
    ["inode, of which this one is the beginning", { inode: NODE.inode / 10n }],
  ])("is none if its %s is another", (_, change) => {
    expect(isSame(lines(NODE), { ...NODE, ...change })).toBe(false);
  });

  it("is none if the line was written when the file was too young or still changed", () => {
    expect(isSame(lines(NODE, { untrusted: true }), NODE)).toBe(false);
    expect(isSame(lines(NODE, { untrusted: true, changed: true, chunks: ["[1]"] }), NODE)).toBe(false);
  });

  it.each([
    [2_000_000_000n, false],
    [1_999_999_999n, true],
    [0n, true],
    [-5n, true],
  ])("whose time is %i ns before its stat is too young: %s", (age, racy) => {
    const statAtNs = NODE.mtimeNs + age;

    expect(isRacy({ ...NODE, statAtNs })).toBe(racy);
    expect(isRacy({ ...NODE, mtimeNs: 0n, statAtNs })).toBe(racy);
    expect(isRacy({ ...NODE, ctimeNs: 0n, statAtNs })).toBe(racy);
  });
});

describe("two entries say the same", () => {
  const same = (before: string, after: string) =>
    saysTheSame(
      before
        .trimEnd()
        .split("\n")
        .map((line) => Buffer.from(line)),
      after,
    );
  const directory: TreeNode = { ...NODE, type: "directory", size: 0 };
  const later = { mtimeNs: NODE.mtimeNs + 1n, ctimeNs: NODE.ctimeNs + 1n };

  it("where only the mark of a young one differs, or the times of a directory", () => {
    const chunks = Array.from({ length: 600 }, (_, i) => `[${i}]`);
    expect(same(lines(NODE, { untrusted: true, chunks }), lines(NODE, { chunks }))).toBe(true);
    expect(same(lines(directory), lines({ ...directory, ...later }))).toBe(true);
  });

  it("not where a file's times, its content or a directory's mode differ", () => {
    expect(same(lines(NODE), lines({ ...NODE, ...later }))).toBe(false);
    expect(same(lines(NODE, { chunks: ["[1]"] }), lines(NODE, { chunks: ["[2]"] }))).toBe(false);
    expect(same(lines(directory), lines({ ...directory, ...later, mode: 0o700 }))).toBe(false);
    const tricky = { ...NODE, name: Buffer.from('"type":"directory",') };
    expect(same(lines(tricky), lines({ ...tricky, ...later }))).toBe(false);
  });
});

test("the fields of a line keep their order, because unchanged lines are compared as bytes", () => {
  expect(lines(NODE)).toBe(
    '{"name":"srv/www/index.html","type":"file","size":12,"mode":420,"uid":33,"gid":33,"user":"www-data","group":"www-data",' +
      '"mtime":"1700000000123456789","ctime":"1700000000123456789","inode":"9223372036854775808"}\n',
  );
});
