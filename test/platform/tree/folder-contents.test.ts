import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { describeFolder, findExtra, removeExtra } from "../../../src/platform/tree/folder-contents.ts";
import { openTreeTarget } from "../../../src/platform/tree/tree-writer.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

function folderWith(files: readonly string[]): string {
  const folder = tempDir();
  for (const file of files) {
    fs.mkdirSync(dirname(join(folder, file)), { recursive: true });
    fs.writeFileSync(join(folder, file), "1234");
  }
  return folder;
}

const { signal } = new AbortController();
const named = (...names: string[]) => names.map((name) => Buffer.from(name));

describe("describing a place", () => {
  test("tells nothing, a file, a link to nowhere and folders apart", () => {
    const folder = folderWith(["file", "d/1", "d/2", "d/3", "d/4", "d/5", "d/6"]);
    fs.mkdirSync(join(folder, "empty"));
    fs.symlinkSync("d", join(folder, "to-d"));
    fs.symlinkSync("nowhere", join(folder, "to-nothing"));

    expect(describeFolder(join(folder, "missing")).kind).toBe("missing");
    expect(describeFolder(join(folder, "file")).kind).toBe("file");
    expect(describeFolder(join(folder, "to-nothing")).kind).toBe("symlink");
    expect(describeFolder(join(folder, "empty"))).toEqual({ kind: "directory", members: 0, first: [] });
    expect(describeFolder(join(folder, "to-d"))).toEqual({
      kind: "directory",
      members: 6,
      first: ["1", "2", "3", "4", "5"],
    });
  });
});

describe("extra entries", () => {
  test("are what is there and not in the backup, counted, and removed with what is in them", async () => {
    const folder = folderWith(["a", "a!", "d/keep", "d/x", "gone/deep/y", "z"]);
    const names = named("a", "d", "d/keep", "d/missing-here", "z");

    const extra = await findExtra({ root: folder, folder: Buffer.alloc(0), names, signal });

    expect(extra.names.map(String)).toEqual(["a!", "d/x", "gone", "gone/deep", "gone/deep/y"]);
    expect(extra).toMatchObject({ files: 3, directories: 2, sizeBytes: 12 });
    const target = openTreeTarget(folder, { overwrite: true });
    onTestFinished(() => target.close());
    expect(await removeExtra(target, extra, signal)).toBe(5);
    expect(fs.readdirSync(folder)).toEqual(["a", "d", "z"]);
    expect(fs.readdirSync(join(folder, "d"))).toEqual(["keep"]);
  });

  test("are looked for below one folder only, and never behind a symlink", async () => {
    const outside = folderWith(["precious"]);
    const root = folderWith(["srv/www/extra", "srv/other"]);
    fs.symlinkSync(outside, join(root, "srv/www/link"));

    const names = named("srv", "srv/www");
    const extra = await findExtra({ root, folder: Buffer.from("srv/www"), names, signal });

    expect(extra.names.map(String)).toEqual(["srv/www/extra", "srv/www/link"]);
    const target = openTreeTarget(root, { overwrite: true });
    onTestFinished(() => target.close());
    await removeExtra(target, extra, signal);
    expect(fs.existsSync(join(outside, "precious"))).toBe(true);
    expect(fs.existsSync(join(root, "srv/other"))).toBe(true);
  });

  test("spare what the source excludes, and the folder around it", async () => {
    const folder = folderWith(["old/cache/a", "old/b"]);

    const keeps = (name: Buffer) => name.equals(Buffer.from("old/cache"));
    const extra = await findExtra({ root: folder, folder: Buffer.alloc(0), names: [], signal }, keeps);

    const target = openTreeTarget(folder, { overwrite: true });
    onTestFinished(() => target.close());
    expect(await removeExtra(target, extra, signal)).toBe(1);
    expect(fs.existsSync(join(folder, "old/cache/a"))).toBe(true);
  });

  test("are none where the folder does not exist", async () => {
    const root = join(tempDir(), "missing");

    expect((await findExtra({ root, folder: Buffer.alloc(0), names: named("a"), signal })).names).toEqual([]);
  });
});
