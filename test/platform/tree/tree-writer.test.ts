import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { Worker } from "node:worker_threads";
import { describe, expect, onTestFinished, test } from "vitest";
import type { EntryMetadata } from "../../../src/platform/tree/entry-metadata.ts";
import { openTreeTarget, type TreeTarget, type TreeTargetPolicy } from "../../../src/platform/tree/tree-writer.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const metadata: EntryMetadata = {
  mode: 0o644,
  uid: process.getuid?.() ?? 0,
  gid: process.getgid?.() ?? 0,
  mtimeNs: 1_700_000_000_123_456_789n,
};

function opened(root: string, policy: TreeTargetPolicy = { overwrite: false }): TreeTarget {
  const target = openTreeTarget(root, policy);
  onTestFinished(() => target.close());
  return target;
}

function write(target: TreeTarget, name: string | Buffer, content: string, given: Partial<EntryMetadata> = {}): void {
  const file = target.beginFile(Buffer.from(name), content.length);
  target.writeAt(file, 0, Buffer.from(content));
  target.finishFile(file, { ...metadata, ...given });
}

function mtimeOf(path: string): bigint {
  return fs.lstatSync(path, { bigint: true }).mtimeNs;
}

describe("a tree target writes", () => {
  test("a private tree without the ACLs that the folder around it hands on", async () => {
    const root = tempDir();
    execFileSync("setfacl", ["-d", "-m", "u:1:rwx", root]);
    const target = opened(root, { overwrite: false, isPrivate: true });

    target.makeDirectory(Buffer.from("d"));
    write(target, "d/file", "content");
    target.finishDirectory(Buffer.from("d"), { ...metadata, mode: 0o750 });
    await target.settle();

    const acls = execFileSync("getfacl", ["-c", "-p", join(root, "d"), join(root, "d/file")], { encoding: "utf8" });
    expect(acls).not.toMatch(/user:\w+:|default:/);
  });

  test("files with mode, set-id bit, attributes and a time exact to the nanosecond", async () => {
    const root = tempDir();
    const target = opened(root);

    target.makeDirectory(Buffer.from("d"));
    write(target, "d/file", "content", {
      mode: 0o4751,
      attributes: { "user.note": Buffer.from("x").toString("base64") },
    });
    target.makeSymlink(Buffer.from("d/link"), Buffer.from("file"), metadata);
    target.makeHardLink(Buffer.from("twin"), Buffer.from("d/file"));
    target.finishDirectory(Buffer.from("d"), { ...metadata, mode: 0o550 });
    await target.settle();

    const stats = fs.statSync(join(root, "d/file"));
    expect(fs.readFileSync(join(root, "d/file"), "utf8")).toBe("content");
    expect(stats.mode & 0o7777).toBe(0o4751);
    expect(stats.ino).toBe(fs.statSync(join(root, "twin")).ino);
    expect(fs.readlinkSync(join(root, "d/link"))).toBe("file");
    expect(fs.statSync(join(root, "d")).mode & 0o7777).toBe(0o550);
    for (const name of ["d", "d/file", "d/link"]) expect(mtimeOf(join(root, name))).toBe(metadata.mtimeNs);
    expect(
      execFileSync("getfattr", ["--only-values", "-n", "user.note", join(root, "d/file")], { encoding: "utf8" }),
    ).toBe("x");
    expect(target.warnings()).toEqual([]);
    expect(fs.readdirSync(join(root, "d"))).toEqual(["file", "link"]);
  });

  test("holes as holes", () => {
    const root = tempDir();
    const target = opened(root);

    const file = target.beginFile(Buffer.from("sparse"), 64 * 1024 * 1024);
    target.writeAt(file, 32 * 1024 * 1024, Buffer.from("middle"));
    target.finishFile(file, metadata);

    const stats = fs.statSync(join(root, "sparse"));
    expect(stats.size).toBe(64 * 1024 * 1024);
    expect(stats.blocks * 512).toBeLessThan(1024 * 1024);
  });

  test("names of raw bytes below missing parents, and paths longer than the system takes", async () => {
    const root = tempDir();
    const target = opened(root);
    const deep = Array.from({ length: 30 }, () => "d".repeat(200)).join("/");

    write(target, Buffer.concat([Buffer.from("p/"), Buffer.from([0xff, 0x0a])]), "raw");
    write(target, `${deep}/file`, "deep");
    await target.settle();

    expect(fs.readdirSync(join(root, "p"), { encoding: "latin1" })).toEqual(["\xff\n"]);
    expect(
      execFileSync("find", [root, "-name", "file", "-size", "4c", "-newermt", "2023-11-14"]).length,
    ).toBeGreaterThan(6_000);
    expect(target.warnings()).toEqual([]);
  });

  test("into more directories than it holds open", () => {
    const root = tempDir();
    const target = opened(root);

    for (let at = 0; at < 600; at++) write(target, `d${at % 300}/f${at}`, "");

    expect(fs.readdirSync(root)).toHaveLength(300);
    expect(fs.readdirSync(join(root, "d0"))).toEqual(["f0", "f300"]);
    expect(fs.readdirSync("/proc/self/fd").length).toBeLessThan(300);
  });
});

describe("a tree target refuses", () => {
  test.each(["", "/etc/passwd", "../out", "a/../../out", "a//b", "a/", ".", "./a", "a\0b"])("the name %j", (name) => {
    const root = join(tempDir(), "root");
    fs.mkdirSync(root);
    const target = opened(root, { overwrite: true, removeDirectories: true });
    const bytes = Buffer.from(name);

    for (const make of [
      () => target.makeDirectory(bytes),
      () => target.beginFile(bytes, 0),
      () => target.makeSymlink(bytes, Buffer.from("x"), metadata),
      () => target.makeHardLink(Buffer.from("a"), bytes),
      () => target.finishDirectory(bytes, metadata),
      () => target.remove(bytes),
    ]) {
      expect(make).toThrow(expect.objectContaining({ code: "BACKUP_CORRUPTED" }));
    }
    expect(fs.readdirSync(join(root, ".."))).toEqual(["root"]);
    expect(fs.readdirSync(root)).toEqual([]);
  });

  test("to write through a symlink that was planted in the target", () => {
    const outside = tempDir();
    const root = tempDir();
    fs.symlinkSync(outside, join(root, "d"));
    const target = opened(root, { overwrite: true });

    expect(() => target.beginFile(Buffer.from("d/file"), 0)).toThrow(
      expect.objectContaining({ code: "RESTORE_FAILED" }),
    );
    expect(() => target.makeSymlink(Buffer.from("d/s"), Buffer.from("x"), metadata)).toThrow("not a directory");
    expect(() => target.remove(Buffer.from("d/file"))).toThrow("not a directory");
    expect(fs.readdirSync(outside)).toEqual([]);
  });

  test("to follow a symlink from the backup itself, and replaces it when told to", () => {
    const outside = tempDir();
    const root = tempDir();
    const target = opened(root, { overwrite: true });

    target.makeSymlink(Buffer.from("d"), Buffer.from(outside), metadata);
    expect(() => target.beginFile(Buffer.from("d/file"), 0)).toThrow("not a directory");
    target.makeDirectory(Buffer.from("d"));
    write(target, "d/file", "inside");

    expect(fs.readdirSync(outside)).toEqual([]);
    expect(fs.readFileSync(join(root, "d/file"), "utf8")).toBe("inside");
  });

  test("to stay in a directory whose name was given to a symlink while it was held", () => {
    const outside = tempDir();
    const root = tempDir();
    const target = opened(root, { overwrite: true });
    write(target, "d/first", "");

    fs.renameSync(join(root, "d"), join(root, "moved"));
    fs.symlinkSync(outside, join(root, "d"));
    write(target, "d/second", "");

    expect(fs.readdirSync(outside)).toEqual([]);
    expect(fs.readdirSync(join(root, "moved"))).toEqual(["first", "second"]);
  });

  test("to replace what is there without overwrite, and leaves no temporary file", () => {
    const root = tempDir();
    fs.writeFileSync(join(root, "file"), "old");
    const target = opened(root);

    expect(() => write(target, "file", "new")).toThrow(expect.objectContaining({ code: "TARGET_NOT_EMPTY" }));
    expect(() => target.makeSymlink(Buffer.from("file"), Buffer.from("x"), metadata)).toThrow("already exists");
    expect(() => target.makeDirectory(Buffer.from("file"))).toThrow("already exists");
    expect(fs.readdirSync(root)).toEqual(["file"]);
    expect(fs.readFileSync(join(root, "file"), "utf8")).toBe("old");
  });

  test("a root that is a file", () => {
    const file = join(tempDir(), "file");
    fs.writeFileSync(file, "");

    expect(() => openTreeTarget(file, { overwrite: true })).toThrow(
      expect.objectContaining({ code: "RESTORE_FAILED" }),
    );
  });

  test("symlinks without a target", () => {
    const target = opened(tempDir());

    expect(() => target.makeSymlink(Buffer.from("s"), Buffer.alloc(0), metadata)).toThrow("impossible target");
  });
});

describe("with overwrite, a tree target", () => {
  test("replaces files, symlinks and empty directories, whatever they become", () => {
    const root = tempDir();
    fs.writeFileSync(join(root, "file"), "old");
    fs.symlinkSync("nowhere", join(root, "link"));
    fs.mkdirSync(join(root, "dir"));
    const target = opened(root, { overwrite: true });

    target.makeSymlink(Buffer.from("file"), Buffer.from("x"), metadata);
    target.makeDirectory(Buffer.from("link"));
    write(target, "dir", "now a file");

    expect(fs.readlinkSync(join(root, "file"))).toBe("x");
    expect(fs.statSync(join(root, "link")).isDirectory()).toBe(true);
    expect(fs.readFileSync(join(root, "dir"), "utf8")).toBe("now a file");
  });

  test.runIf(process.geteuid?.() === 0)("replaces a device by the file, and writes nothing to the device", () => {
    const root = tempDir();
    // Whatever is written to this one fails.
    execFileSync("mknod", [join(root, "full"), "c", "1", "7"]);
    const target = opened(root, { overwrite: true });

    write(target, "full", "a file now");

    expect(fs.lstatSync(join(root, "full")).isFile()).toBe(true);
    expect(fs.readFileSync(join(root, "full"), "utf8")).toBe("a file now");
  });

  test("keeps a directory with files in it where the backup has a file, unless told to remove it", () => {
    const root = tempDir();
    const outside = tempDir();
    fs.writeFileSync(join(outside, "precious"), "");
    fs.mkdirSync(join(root, "dir/sub"), { recursive: true });
    fs.writeFileSync(join(root, "dir/sub/file"), "");
    fs.symlinkSync(outside, join(root, "dir/link"));

    const keeping = opened(root, { overwrite: true });
    expect(() => write(keeping, "dir", "x")).toThrow(expect.objectContaining({ code: "TARGET_NOT_EMPTY" }));
    expect(fs.readdirSync(root)).toEqual(["dir"]);
    expect(fs.existsSync(join(root, "dir/sub/file"))).toBe(true);

    write(opened(root, { overwrite: true, removeDirectories: true }), "dir", "x");
    expect(fs.readFileSync(join(root, "dir"), "utf8")).toBe("x");
    expect(fs.readdirSync(outside)).toEqual(["precious"]);
  });

  test("makes a hard link again over itself without leaving a temporary name", () => {
    const root = tempDir();
    const target = opened(root, { overwrite: true });
    write(target, "a", "");

    target.makeHardLink(Buffer.from("b"), Buffer.from("a"));
    target.makeHardLink(Buffer.from("b"), Buffer.from("a"));

    expect(fs.readdirSync(root)).toEqual(["a", "b"]);
  });

  test("takes away attributes and ACLs that the backup does not have", () => {
    const root = tempDir();
    fs.mkdirSync(join(root, "d"));
    execFileSync("setfattr", ["-n", "user.extra", "-v", "1", join(root, "d")]);
    execFileSync("setfacl", ["-d", "-m", "u:1:rwx", join(root, "d")]);
    const target = opened(root, { overwrite: true });

    write(target, "d/file", "");
    target.finishDirectory(Buffer.from("d"), { ...metadata, mode: 0o755 });

    expect(execFileSync("getfattr", ["-R", "-d", "-m", "-", join(root, "d")], { encoding: "utf8" })).toBe("");
  });
});

test("closing abandons what is unfinished", () => {
  const root = tempDir();
  const target = openTreeTarget(root, { overwrite: false });
  target.beginFile(Buffer.from("d/file"), 10);
  expect(fs.readdirSync(join(root, "d"))).toEqual([expect.stringMatching(/^\.backupctl-/)]);

  target.close();

  expect(fs.readdirSync(join(root, "d"))).toEqual([]);
});

test.each([-1_000_000_000n, -86_400_500_000_001n])("the time %s, before 1970, is set as any other", async (mtimeNs) => {
  const root = tempDir();
  const target = opened(root);

  write(target, "file", "", { mtimeNs });
  await target.settle();

  expect(mtimeOf(join(root, "file"))).toBe(mtimeNs);
});

test("without python3 times are a microsecond off at most, and it says so", async () => {
  const root = tempDir();
  const target = opened(root);
  const path = process.env.PATH;
  process.env.PATH = root;
  onTestFinished(() => {
    process.env.PATH = path;
  });

  write(target, "file", "");
  write(target, "whole", "", { mtimeNs: 1_700_000_000_000_000_000n });
  await target.settle();

  const difference = mtimeOf(join(root, "file")) - metadata.mtimeNs;
  expect(difference < 1_000n && difference > -1_000n).toBe(true);
  expect(mtimeOf(join(root, "whole"))).toBe(1_700_000_000_000_000_000n);
  expect(target.warnings()).toEqual([expect.stringMatching(/^1 modification times .* python3/)]);
});

test.runIf(process.geteuid?.() === 0)("owners are given by name where this system knows it, else by number", () => {
  const root = tempDir();
  const target = opened(root);

  write(target, "named", "", { uid: 12_345, gid: 12_345, user: "root", group: "root" });
  write(target, "numbered", "", { uid: 12_345, gid: 12_346, user: "no-such-user", group: "no-such-group" });

  expect(fs.statSync(join(root, "named"))).toMatchObject({ uid: 0, gid: 0 });
  expect(fs.statSync(join(root, "numbered"))).toMatchObject({ uid: 12_345, gid: 12_346 });
});

test("several worker threads write below one root at a time", async () => {
  const root = tempDir();
  const writer = new URL("../../../src/platform/tree/tree-writer.ts", import.meta.url);
  const script = `
    const { workerData, parentPort } = require("node:worker_threads");
    import(workerData.writer).then(async ({ openTreeTarget }) => {
      const target = openTreeTarget(workerData.root, { overwrite: false });
      for (let at = 0; at < 200; at++) {
        const file = target.beginFile(Buffer.from(\`d\${at % 20}/\${workerData.id}-\${at}\`), 1);
        target.writeAt(file, 0, Buffer.from("x"));
        const mtimeNs = 1700000000123456789n;
        target.finishFile(file, { mode: 0o600, uid: process.getuid(), gid: process.getgid(), mtimeNs });
      }
      await target.settle();
      target.close();
      parentPort.postMessage(target.warnings());
    });`;
  const run = (id: number) =>
    new Promise<unknown>((resolve, reject) => {
      const workerData = { id, root, writer: writer.href };
      new Worker(script, { eval: true, workerData }).once("message", resolve).once("error", reject);
    });

  expect(await Promise.all([run(1), run(2), run(3)])).toEqual([[], [], []]);

  const files = fs.readdirSync(root, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("/"));
  expect(files).toHaveLength(600);
  expect(files.every((name) => mtimeOf(join(root, name)) === metadata.mtimeNs)).toBe(true);
});

test("what a killed restore left in a directory is swept, and nothing that only looks like it", () => {
  const root = tempDir();
  const names = [".backupctl-0123456789abcdef", ".backupctl-0123456789abcde", "a.backupctl-0123456789abcdef", "file"];
  fs.mkdirSync(join(root, "sub/.backupctl-fedcba9876543210"), { recursive: true });
  for (const name of names) fs.writeFileSync(join(root, "sub", name), "");
  fs.symlinkSync("/", join(root, "sub/.backupctl-1111111111111111"));
  fs.writeFileSync(join(root, ".backupctl-0123456789abcdef"), "");
  const target = opened(root);

  target.sweep(Buffer.from("sub"));
  expect(fs.readdirSync(join(root, "sub")).sort()).toEqual([...names.slice(1), ".backupctl-fedcba9876543210"].sort());
  target.sweep(Buffer.alloc(0));
  expect(fs.readdirSync(root)).toEqual(["sub"]);
});

describe("a private tree", () => {
  test("gives files their own names at once, and leaves nothing of one that is abandoned", async () => {
    const root = tempDir();
    const target = openTreeTarget(root, { overwrite: false, isPrivate: true });

    const done = target.beginFile(Buffer.from("a/done"), 3);
    expect(fs.readdirSync(join(root, "a"))).toEqual(["done"]);
    target.writeAt(done, 0, Buffer.from("all"));
    target.finishFile(done, { ...metadata, mode: 0o640 });
    const abandoned = target.beginFile(Buffer.from("a/abandoned"), 3);
    target.abandonFile(abandoned);
    target.beginFile(Buffer.from("a/unfinished"), 3);
    await target.settle();
    target.close();

    expect(fs.readdirSync(join(root, "a"))).toEqual(["done"]);
    expect(fs.readFileSync(join(root, "a/done"), "utf8")).toBe("all");
    expect(fs.statSync(join(root, "a/done")).mode & 0o7777).toBe(0o640);
    expect(mtimeOf(join(root, "a/done"))).toBe(metadata.mtimeNs);
  });

  test.each([true, false])("replaces nothing that came to be there, overwriting or not (%s)", (overwrite) => {
    const root = tempDir();
    const outside = join(tempDir(), "outside");
    fs.writeFileSync(outside, "theirs");
    fs.symlinkSync(outside, join(root, "link"));
    fs.writeFileSync(join(root, "file"), "theirs");
    const target = opened(root, { overwrite, isPrivate: true });

    for (const name of ["link", "file"])
      expect(() => write(target, name, "ours")).toThrow(expect.objectContaining({ code: "TARGET_NOT_EMPTY" }));

    expect(fs.readFileSync(outside, "utf8")).toBe("theirs");
    expect(fs.readFileSync(join(root, "file"), "utf8")).toBe("theirs");
    expect(fs.readdirSync(root).sort()).toEqual(["file", "link"]);
  });

  test("counts files that are not as they should be when they are finished", () => {
    const root = tempDir();
    const target = opened(root, { overwrite: false, isPrivate: true });

    write(target, "sound", "all");
    const file = target.beginFile(Buffer.from("touched"), 3);
    target.writeAt(file, 0, Buffer.from("all"));
    fs.appendFileSync(join(root, "touched"), "more");
    target.finishFile(file, metadata);

    expect(target.shortfalls().unlike).toBe(1);
  });
});
