import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import fc from "fast-check";
import { describe, expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../../src/engines/files/engine.ts";
import { options } from "../../../src/engines/files/options.ts";
import { compareNames, openForReading } from "../../../src/platform/walk.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { contextFor, dumpTree, namesBelow } from "./tree-tools.ts";

const isRoot = process.geteuid?.() === 0;
const O_DIRECTORY = fs.constants.O_RDONLY | fs.constants.O_DIRECTORY;

describe("a dump has", () => {
  test("nothing that an interrupted restore or download left, and says so", async () => {
    const folder = tempDir();
    const left = [".backupctl-0123456789abcdef", ".www.backupctl-01234567", ".dump.sql.backupctl-4711-01234567"];
    for (const name of [...left, ".backupctl-notes", "www.backupctl-01234567"])
      fs.writeFileSync(join(folder, name), "");
    fs.mkdirSync(join(folder, ".tree.backupctl-89abcdef"));

    const { nodes, warnings } = await dumpTree({ paths: [folder] });

    const names = nodes.map((node) => node.name.toString()).filter((name) => name.startsWith(`${folder.slice(1)}/`));
    expect(names.map((name) => name.slice(folder.length))).toEqual([".backupctl-notes", "www.backupctl-01234567"]);
    for (const name of [...left, ".tree.backupctl-89abcdef"])
      expect(warnings).toContainEqual(expect.stringMatching(`/${name} is left from an interrupted restore`));
  });

  test("a few of what interrupted restores left by their names, and of more how many", async () => {
    const folder = tempDir();
    for (let i = 0; i < 12; i++) fs.writeFileSync(join(folder, `.backupctl-${String(i).padStart(16, "0")}`), "");

    const { warnings } = await dumpTree({ paths: [folder] });

    expect(warnings.filter((warning) => warning.includes("is left from an interrupted restore"))).toHaveLength(5);
    expect(warnings).toContain("7 more are left from interrupted restores: not stored");
  });

  test("every kind of entry with its facts, and the parents of the root", async () => {
    const folder = tempDir();
    fs.mkdirSync(join(folder, "empty"), { mode: 0o750 });
    fs.writeFileSync(join(folder, "file"), "content");
    fs.chmodSync(join(folder, "file"), 0o4755);
    fs.linkSync(join(folder, "file"), join(folder, "twin"));
    fs.symlinkSync("no/where", join(folder, "link"));
    execFileSync("touch", ["-d", "@1700000000.123456789", join(folder, "file")]);

    const { nodes, counts, unreadable, warnings } = await dumpTree({ paths: [folder] });

    const parents = folder.slice(1).split("/");
    expect(nodes.slice(0, parents.length).map((node) => node.name.toString())).toEqual(
      parents.map((_, at) => parents.slice(0, at + 1).join("/")),
    );
    expect(namesBelow(folder, nodes)).toEqual(["empty", "file", "link", "twin"]);
    const [empty, file, link, twin] = nodes.slice(parents.length);
    expect(empty).toMatchObject({ type: "directory", mode: 0o750, size: 0 });
    expect(file).toMatchObject({ type: "file", mode: 0o4755, size: 7, mtimeNs: 1_700_000_000_123_456_789n });
    expect(file?.hardLink).toMatch(/^\d+:\d+$/);
    expect(twin?.hardLink).toBe(file?.hardLink);
    expect(link).toMatchObject({ type: "symlink", size: 0, link: Buffer.from("no/where") });
    expect(file?.user).toBe(execFileSync("id", ["-un"], { encoding: "utf8" }).trim());
    expect(counts).toEqual({ files: 2, directories: parents.length + 1, symlinks: 1, special: 0 });
    expect([unreadable, warnings]).toEqual([[], []]);
  });

  test("names that are not UTF-8, names with newlines and names of 255 bytes", async () => {
    const folder = tempDir();
    const names = [Buffer.from([0x66, 0xff, 0xfe]), Buffer.from("two\nlines"), Buffer.from("n".repeat(255))];
    for (const name of names) fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), name]), "");

    const { nodes } = await dumpTree({ paths: [folder], exclude: ["*.tmp"] });

    const prefix = folder.length;
    const found = nodes.filter((node) => node.type === "file").map((node) => node.name.subarray(prefix));
    expect(found).toEqual(names.toSorted(Buffer.compare));
  });

  test("what lies deeper than the longest path, and opens it", async () => {
    const folder = tempDir();
    const levels = 25;
    makeDeep(folder, levels);

    const { nodes, unreadable } = await dumpTree({ paths: [folder] });

    expect(unreadable).toEqual([]);
    const deepest = nodes.at(-1);
    expect(deepest?.name.length).toBeGreaterThan(5_000);
    const fd = openForReading(deepest?.name ?? Buffer.alloc(0));
    expect(fs.readFileSync(fd, "utf8")).toBe("deep");
    fs.closeSync(fd);
  });

  test("extended attributes and ACLs, by their full names", async () => {
    const folder = tempDir();
    const file = join(folder, "file");
    fs.writeFileSync(file, "");
    execFileSync("setfattr", ["-n", "user.note", "-v", "0x00ff", file]);
    execFileSync("setfacl", ["-m", "u:1:r", file]);

    const { nodes } = await dumpTree({ paths: [folder] });
    const off = await dumpTree({ paths: [folder], xattrs: "off" });

    const attributes = nodes.at(-1)?.attributes?.();
    expect(attributes?.["user.note"]).toBe(Buffer.from([0, 255]).toString("base64"));
    expect(attributes?.["system.posix_acl_access"]).toBeDefined();
    expect(off.nodes.at(-1)?.attributes).toBeUndefined();
  });

  test("overlapping roots once, and each in its place", async () => {
    const folder = tempDir();
    for (const name of ["b/in", "a", "c"]) fs.mkdirSync(join(folder, name), { recursive: true });

    const { nodes } = await dumpTree({
      paths: [join(folder, "b/in"), join(folder, "b"), `${folder}/a/`, join(folder, "b")],
    });

    expect(namesBelow(folder, nodes)).toEqual(["a", "b", "b/in"]);
  });

  test("a root that is a symlink as the link itself, with a warning", async () => {
    const folder = tempDir();
    fs.mkdirSync(join(folder, "real"));
    fs.writeFileSync(join(folder, "real/file"), "");
    fs.symlinkSync("real", join(folder, "link"));

    const own = await dumpTree({ paths: [join(folder, "link")] });
    const through = await dumpTree({ paths: [join(folder, "link/file")] });

    expect(namesBelow(folder, own.nodes)).toEqual(["link"]);
    expect(own.warnings).toEqual([expect.stringContaining("is a symlink")]);
    expect(namesBelow(folder, through.nodes)).toEqual(["real", "real/file"]);
    expect(through.warnings).toEqual([expect.stringContaining(`is stored as ${folder}/real/file`)]);
  });
});

describe("a dump reports", () => {
  test("sockets and pipes, and skips them", async () => {
    const folder = tempDir();
    fs.writeFileSync(join(folder, "file"), "");
    execFileSync("mkfifo", [join(folder, "pipe")]);
    const server = createServer().listen(join(folder, "socket"));
    onTestFinished(() => void server.close());
    await new Promise((resolve) => server.once("listening", resolve));

    const { nodes, warnings, counts } = await dumpTree({ paths: [folder] });

    expect(namesBelow(folder, nodes)).toEqual(["file"]);
    expect(warnings).toEqual([
      expect.stringContaining("pipe is a pipe"),
      expect.stringContaining("socket is a socket"),
    ]);
    expect(counts.special).toBe(2);
  });

  test.runIf(isRoot)("a device, and skips it", async () => {
    const folder = tempDir();
    execFileSync("mknod", [join(folder, "zero"), "c", "1", "5"]);

    const { nodes, warnings, counts } = await dumpTree({ paths: [folder] });

    expect(namesBelow(folder, nodes)).toEqual([]);
    expect(warnings).toEqual([expect.stringContaining("zero is a device")]);
    expect(counts.special).toBe(1);
  });

  test("a root that is missing beside one that is not", async () => {
    const folder = tempDir();

    const { unreadable } = await dumpTree({ paths: [folder, `${folder}/gone`] });

    expect(unreadable).toEqual([`${folder}/gone: does not exist`]);
  });

  test.runIf(!isRoot || spawnSync("setpriv", ["--version"]).status === 0)("a folder that it may not read", async () => {
    const folder = tempDir();
    fs.mkdirSync(join(folder, "closed"), { mode: 0o000 });
    fs.writeFileSync(join(folder, "open"), "");
    fs.chmodSync(folder, 0o755);

    const { nodes, unreadable } = isRoot ? await asNobody(folder) : await dumpTree({ paths: [folder] });

    expect(namesBelow(folder, nodes)).toEqual(["closed", "open"]);
    expect(unreadable).toEqual([`${folder}/closed: EACCES`]);
  });
});

/** Root reads everything; the effective user is another only for the time of the dump. */
async function asNobody(folder: string) {
  process.seteuid?.(65534);
  try {
    return await dumpTree({ paths: [folder] });
  } finally {
    process.seteuid?.(0);
  }
}

describe("a dump of nothing fails", () => {
  test("when no root exists, naming them", async () => {
    await expect(dumpTree({ paths: ["/nonexistent/a", "/nonexistent/b"] })).rejects.toMatchObject({
      code: "SOURCE_FAILED",
      message: 'source "uploads" yields nothing: /nonexistent/a: does not exist, /nonexistent/b: does not exist',
    });
  });

  test("when the only root is no file, folder or symlink", async () => {
    const folder = tempDir();
    execFileSync("mkfifo", [join(folder, "pipe")]);

    await expect(dumpTree({ paths: [join(folder, "pipe")] })).rejects.toMatchObject({ code: "SOURCE_FAILED" });
  });

  test("but not when the root is an empty folder, of which a warning tells", async () => {
    const folder = tempDir();

    const { nodes, ...facts } = await dumpTree({ paths: [folder] });

    expect(nodes.at(-1)?.name.toString()).toBe(folder.slice(1));
    expect(facts).toMatchObject({ unreadable: [], warnings: [`${folder} is empty: is its file system mounted?`] });
  });
});

test("nodes come in the order of raw bytes, with a slash before every other byte", async () => {
  const name = fc
    .constantFrom("a", "a!", "a-", "b", "a\u00ff", "A", "\u0001", "ab")
    .map((text) => Buffer.from(text, "latin1"));
  const path = fc.array(name, { minLength: 1, maxLength: 3 });

  await fc.assert(
    fc.asyncProperty(fc.array(path, { maxLength: 8 }), async (paths) => {
      const folder = fs.mkdtempSync(join(tempDir(), "order-"));
      for (const members of paths) {
        const parts = members.flatMap((member) => [Buffer.from("/"), member]);
        fs.mkdirSync(Buffer.concat([Buffer.from(folder), ...parts]), { recursive: true });
      }

      const { nodes } = await dumpTree({ paths: [folder] });

      const reference = (left: Buffer, right: Buffer) => {
        const members = (full: Buffer) => full.toString("latin1").split("/");
        const [a, b] = [members(left), members(right)];
        const at = a.findIndex((member, index) => member !== b[index]);
        if (at < 0) return a.length - b.length;
        return b[at] === undefined
          ? 1
          : Buffer.compare(Buffer.from(a[at] ?? "", "latin1"), Buffer.from(b[at], "latin1"));
      };
      const names = nodes.map((node) => node.name);
      expect(names).toEqual(names.toSorted(reference));
      expect(names).toEqual(names.toSorted(compareNames));
      expect(new Set(names.map((one) => one.toString("latin1"))).size).toBe(names.length);
    }),
    { numRuns: 60 },
  );
});

test("the estimate counts what a dump would give", async () => {
  const folder = tempDir();
  fs.writeFileSync(join(folder, "a"), "12345");
  fs.writeFileSync(join(folder, "b.tmp"), "1234567");

  const engine = openEngine(options.parse({ paths: [folder], exclude: ["*.tmp"] }), {});
  const missing = openEngine(options.parse({ paths: ["/nonexistent"] }), {});

  expect(await engine.estimate(contextFor(folder))).toMatchObject({ sizeBytes: 5 });
  expect(await missing.estimate(contextFor(folder))).toEqual({ sizeBytes: 0, items: 0 });
});

test("an interrupted dump ends with the signal's reason", async () => {
  const folder = tempDir();
  for (let at = 0; at < 1_100; at++) fs.writeFileSync(join(folder, String(at)), "");
  const controller = new AbortController();
  const dump = await openEngine(options.parse({ paths: [folder] }), {}).dump({
    ...contextFor(folder),
    signal: controller.signal,
  });

  const read = async () => {
    if (dump.shape !== "tree") return;
    for await (const _batch of dump.nodes) controller.abort(new Error("stop"));
  };

  await expect(read()).rejects.toThrow("stop");
});

/** Directories of 200-byte names, made from inside one another because the path is too long for one call. */
function makeDeep(folder: string, levels: number): void {
  let fd = fs.openSync(folder, O_DIRECTORY);
  for (let level = 0; level < levels; level++) {
    const next = `/proc/self/fd/${fd}/${"d".repeat(200)}`;
    fs.mkdirSync(next);
    const inner = fs.openSync(next, O_DIRECTORY);
    fs.closeSync(fd);
    fd = inner;
  }
  fs.writeFileSync(`/proc/self/fd/${fd}/file`, "deep");
  fs.closeSync(fd);
}

describe("a folder of very many names", () => {
  const MANY = 15_000;

  function fillLarge(): string {
    const folder = tempDir();
    const name = (i: number) => Buffer.from(`${folder}/${String(i).padStart(40, "0")}\xff`, "latin1");
    for (let i = MANY; i > 0; i--) fs.closeSync(fs.openSync(name(i), "w"));
    return folder;
  }

  test("is listed whole, in order, with names that are not UTF-8", async () => {
    const folder = fillLarge();

    const { nodes } = await dumpTree({ paths: [folder] });

    const names = nodes.map(({ name }) => name.toString("latin1")).filter((name) => name.endsWith("\xff"));
    expect(names).toHaveLength(MANY);
    expect(names).toEqual([...names].sort());
  });

  test.each([
    ["listed", []],
    ["passed over", ["*"]],
  ])("lets a signal be heard while it is %s", async (_, exclude) => {
    const engine = openEngine(options.parse({ paths: [fillLarge()], exclude }), {});
    const heard = new AbortController();
    const dump = await engine.dump({ ...contextFor("/nonexistent"), signal: heard.signal });
    if (dump.shape !== "tree") throw new Error("a files engine dumps a tree");
    setImmediate(() => heard.abort());

    // Nothing of it has come until then.
    await expect(dump.nodes[Symbol.asyncIterator]().next()).rejects.toMatchObject({ name: "AbortError" });
  });
});
