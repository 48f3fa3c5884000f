import { promises as fs, mkdirSync, readdirSync, statSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { runTool } from "../../../src/platform/process.ts";
import { openLocalStorage } from "../../../src/storage/local/storage.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.local!;
const asRoot = process.geteuid?.() === 0;

storageSuite({
  name: "local",
  open: async () => {
    const path = tempDir();
    const open = () => definition.open({ path }, { name: "main" });
    return { storage: await open(), again: open };
  },
});

const noHardLinks = (errno: string) => async () => {
  throw Object.assign(new Error(`${errno}: operation not permitted, link`), { code: errno });
};

storageSuite({
  name: "local without hard links",
  exclusiveNames: false,
  open: async () => {
    const path = tempDir();
    const open = () => openLocalStorage({ path }, { name: "main" }, { link: noHardLinks("EPERM") });
    return { storage: await open(), again: open };
  },
});

async function openAt(path: string): Promise<Storage> {
  return await openLocalStorage({ path }, { name: "main" });
}

async function keys(storage: Storage, prefix = ""): Promise<string[]> {
  const found: string[] = [];
  for await (const { key } of storage.list(prefix)) found.push(key);
  return found.sort();
}

test("a pipe in an object's place is no object, and nobody waits for its writer", async () => {
  const path = tempDir();
  const storage = await openAt(path);
  await runTool({ command: "mkfifo", args: [join(path, "object")] });

  expect(await storage.get("object")).toBeUndefined();
  await expect(storage.put("object", Buffer.from("bytes"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
});

describe("opening", () => {
  test("a path that does not exist is STORAGE_NOT_FOUND with the way to make it", async () => {
    const path = join(tempDir(), "missing");

    await expect(openAt(path)).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
      message: `storage "main": ${path} does not exist`,
      hint: expect.stringContaining("`backupctl init`"),
    });
    expect(() => statSync(path)).toThrow("ENOENT");
  });

  test("init makes the directory and its parents for the owner only", async () => {
    const path = join(tempDir(), "deep", "backups");

    const storage = await definition.open({ path }, { name: "main", create: true });

    expect(storage.address).toBe(`local:${path}`);
    expect(statSync(path).mode & 0o777).toBe(0o700);
    expect(statSync(join(path, "..")).mode & 0o777).toBe(0o700);
  });

  test("a file in its place is STORAGE_NOT_FOUND", async () => {
    const path = join(tempDir(), "file");
    writeFileSync(path, "");

    const inTheWay = { code: "STORAGE_NOT_FOUND", hint: expect.stringContaining("A file is in the way") };
    await expect(openAt(path)).rejects.toMatchObject(inTheWay);
    await expect(openAt(join(path, "below"))).rejects.toMatchObject(inTheWay);
    await expect(definition.open({ path }, { name: "main", create: true })).rejects.toMatchObject({
      code: "STORAGE_NOT_FOUND",
    });
  });

  test("the address is the same however the path was spelt, existing or not", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "backups"));
    symlinkSync(join(dir, "backups"), join(dir, "link"));

    expect((await openAt(join(dir, "link"))).address).toBe(`local:${dir}/backups`);
    expect(await definition.address({ path: `${dir}/x/../link/` })).toBe(`local:${dir}/backups`);
    expect(await definition.address({ path: `${dir}/link/not/yet` })).toBe(`local:${dir}/backups/not/yet`);
  });

  test("the address of a link is the same while what it leads to is not mounted, and a link that leads in a circle has one", async () => {
    const dir = await fs.realpath(tempDir());
    mkdirSync(join(dir, "disk/site"), { recursive: true });
    symlinkSync(join(dir, "disk/site"), join(dir, "link"));
    symlinkSync("link", join(dir, "second"));
    symlinkSync("circle", join(dir, "circle"));
    const address = (name: string) => definition.address({ path: join(dir, name) });
    const mounted = await address("second");

    await fs.rm(join(dir, "disk/site"), { recursive: true });

    expect(mounted).toBe(`local:${dir}/disk/site`);
    expect(await address("second")).toBe(mounted);
    expect(await address("link/below")).toBe(`${mounted}/below`);
    expect(await address("circle")).toBe(`local:${dir}/circle`);
  });

  test("options that do not fit are CONFIG_INVALID", async () => {
    await expect(definition.open({ path: "" }, { name: "main" })).rejects.toMatchObject({ code: "CONFIG_INVALID" });
    await expect(definition.address({})).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("files", () => {
  test("objects are ordinary files under their own names, for the owner only, and nothing else is left", async () => {
    const dir = tempDir();
    const storage = await openAt(dir);

    await storage.put("database/daily/app.pgdump", Buffer.from("bytes"));

    const file = join(dir, "database/daily/app.pgdump");
    expect(await fs.readFile(file, "utf8")).toBe("bytes");
    expect(statSync(file)).toMatchObject({ nlink: 1 });
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "database")).mode & 0o777).toBe(0o700);
    expect(readdirSync(join(dir, "database/daily"))).toEqual(["app.pgdump"]);
  });

  test("a refused put leaves no part behind, with and without hard links", async () => {
    const dir = tempDir();
    for (const storage of [
      await openAt(dir),
      await openLocalStorage({ path: dir }, { name: "main" }, { link: noHardLinks("EOPNOTSUPP") }),
      await openLocalStorage({ path: dir }, { name: "main" }, { link: noHardLinks("EIO") }),
    ]) {
      await storage.put("name", Buffer.from("first")).catch(() => undefined);
      await expect(storage.put("name", Buffer.from("other"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      await storage.put(`more/${readdirSync(dir).length}`, Buffer.from("x")).catch(() => undefined);
    }

    const left = readdirSync(dir, { recursive: true, encoding: "utf8" });
    expect(left.filter((name) => name.includes(".part-"))).toEqual([]);
  });

  test("an input/output error is STORAGE_FAILED, may be tried again, and stores nothing", async () => {
    const dir = tempDir();
    const storage = await openLocalStorage({ path: dir }, { name: "main" }, { link: noHardLinks("EIO") });

    await expect(storage.put("name", Buffer.from("x"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      hint: expect.stringContaining("dmesg"),
    });

    expect(readdirSync(dir)).toEqual([]);
  });

  test("a link in an object's place is no object, for any of the calls", async () => {
    const dir = tempDir();
    const elsewhere = join(tempDir(), "file");
    writeFileSync(elsewhere, "x");
    symlinkSync(elsewhere, join(dir, "name"));
    const storage = await openLocalStorage({ path: dir }, { name: "main" });

    for await (const { key } of storage.list("")) expect.fail(`lists ${key}`);
    expect(await storage.stat("name")).toBeUndefined();
    expect(await storage.get("name")).toBeUndefined();
    await expect(storage.put("name", Buffer.from("x"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test("nothing is behind a folder that is a link, for any of the calls, and nothing is written or removed there", async () => {
    const dir = tempDir();
    const elsewhere = tempDir();
    mkdirSync(join(elsewhere, "b"));
    writeFileSync(join(elsewhere, "b/name"), "x");
    symlinkSync(elsewhere, join(dir, "a"));
    const storage = await openLocalStorage({ path: dir }, { name: "main" });

    for (const prefix of ["", "a", "a/b"]) expect(await keys(storage, prefix)).toEqual([]);
    expect(await storage.stat("a/b/name")).toBeUndefined();
    expect(await storage.get("a/b/name")).toBeUndefined();
    await storage.remove("a/b/name");
    for (const key of ["a/new", "a/b/name", "a/b/c/new"]) {
      await expect(storage.put(key, Buffer.from("x"))).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        message: `storage "main" cannot write ${key}: a folder on its way is a link`,
        hint: expect.stringContaining(dir),
      });
    }
    expect(readdirSync(elsewhere, { recursive: true })).toEqual(["b", "b/name"]);
  });

  test("the folder itself may lie behind links", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "real/below"), { recursive: true });
    symlinkSync(join(dir, "real"), join(dir, "link"));
    const storage = await openLocalStorage({ path: join(dir, "link/below") }, { name: "main" });

    await storage.put("a/name", Buffer.from("x"));

    expect(await keys(storage)).toEqual(["a/name"]);
    expect(readdirSync(join(dir, "real/below"))).toEqual(["a"]);
  });

  test("a put whose name appears while it writes compares with what appeared", async () => {
    const dir = tempDir();
    const late = (content: string) => async (_: string, to: string) => {
      writeFileSync(to, content);
      throw Object.assign(new Error("EEXIST: file already exists, link"), { code: "EEXIST" });
    };
    const open = (content: string) => openLocalStorage({ path: dir }, { name: "main" }, { link: late(content) });

    await (await open("mine")).put("same", Buffer.from("mine"));
    await expect((await open("theirs")).put("other", Buffer.from("mine"))).rejects.toMatchObject({
      code: "OBJECT_CONFLICT",
    });

    expect(readdirSync(dir).sort()).toEqual(["other", "same"]);
  });

  test("a half-written object under its final name is a conflict, not success", async () => {
    const dir = tempDir();
    writeFileSync(join(dir, "pack"), "12345");

    await expect((await openAt(dir)).put("pack", Buffer.from("1234567890"))).rejects.toMatchObject({
      code: "OBJECT_CONFLICT",
    });
  });

  test("a folder that bears the object's name is a conflict", async () => {
    const dir = tempDir();
    mkdirSync(join(dir, "pack"));

    await expect((await openAt(dir)).put("pack", Buffer.from("x"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test("removing the last object removes its folders, but neither others' nor the root", async () => {
    const dir = tempDir();
    const storage = await openAt(dir);
    await storage.put("a/b/c/one", Buffer.from("1"));
    await storage.put("a/two", Buffer.from("2"));

    await storage.remove("a/b/c/one");
    expect(readdirSync(dir, { recursive: true })).toEqual(["a", "a/two"]);

    await storage.remove("a/two");
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("what is not ours", () => {
  test("parts, other names, links and devices are not listed and not touched", async () => {
    const dir = tempDir();
    const storage = await openAt(dir);
    await storage.put("folder/object", Buffer.from("x"));
    mkdirSync(join(dir, "lost+found"));
    writeFileSync(join(dir, "lost+found/inside"), "");
    writeFileSync(join(dir, "folder/my notes (1).txt"), "");
    writeFileSync(Buffer.concat([Buffer.from(`${dir}/folder/`), Buffer.from([0xff, 0xfe])]), "");
    writeFileSync(join(dir, "folder/.part-0123"), "half");
    symlinkSync("/etc/passwd", join(dir, "folder/link"));
    symlinkSync(dir, join(dir, "folder/loop"));

    expect(await keys(storage)).toEqual(["folder/object"]);
    expect(readdirSync(join(dir, "folder"))).toHaveLength(6);
  });

  test("a part older than a day is removed by the next list, with its empty folders; a younger one stays", async () => {
    const dir = tempDir();
    const storage = await openAt(dir);
    await storage.put("alive/object", Buffer.from("x"));
    mkdirSync(join(dir, "dead/run"), { recursive: true });
    writeFileSync(join(dir, "dead/run/.part-old"), "half");
    writeFileSync(join(dir, "alive/.part-old"), "half");
    writeFileSync(join(dir, "alive/.part-young"), "half");
    const hoursAgo = (hours: number) => (Date.now() - hours * 3_600_000) / 1000;
    utimesSync(join(dir, "dead/run/.part-old"), hoursAgo(25), hoursAgo(25));
    utimesSync(join(dir, "alive/.part-old"), hoursAgo(25), hoursAgo(25));
    utimesSync(join(dir, "alive/.part-young"), hoursAgo(23), hoursAgo(23));

    expect(await keys(storage)).toEqual(["alive/object"]);

    expect(readdirSync(dir, { recursive: true, encoding: "utf8" }).sort()).toEqual([
      "alive",
      "alive/.part-young",
      "alive/object",
    ]);
  });
});

describe("a place that goes away", () => {
  test("is never taken for an empty one, and is not made anew", async () => {
    const dir = join(tempDir(), "disk");
    mkdirSync(dir);
    const storage = await openAt(dir);
    await storage.put("folder/object", Buffer.from("x"));
    await fs.rename(dir, `${dir}-unmounted`);

    const gone = { code: "STORAGE_NOT_FOUND" };
    await expect(keys(storage)).rejects.toMatchObject(gone);
    await expect(storage.get("folder/object")).rejects.toMatchObject(gone);
    await expect(storage.put("folder/new", Buffer.from("x"))).rejects.toMatchObject(gone);
    await expect(storage.remove("folder/object")).rejects.toMatchObject(gone);

    mkdirSync(dir);
    await expect(keys(storage)).rejects.toMatchObject(gone);
    await expect(storage.stat("folder/object")).rejects.toMatchObject(gone);
    await expect(storage.put("folder/new", Buffer.from("x"))).rejects.toMatchObject(gone);
    expect(readdirSync(dir)).toEqual([]);
  });
});

describe("a place without permission", () => {
  /** Root may do everything, so the calls are made as nobody. */
  async function asNobody<T>(work: () => Promise<T>): Promise<T> {
    if (!asRoot) return await work();
    process.seteuid?.(65_534);
    try {
      return await work();
    } finally {
      process.seteuid?.(0);
    }
  }

  test("is STORAGE_FAILED with the way to get it, and a list of it is not empty but fails", async () => {
    const dir = tempDir();
    const storage = await openAt(dir);
    await storage.put("closed/object", Buffer.from("x"));
    await fs.chmod(join(dir, "closed"), 0o000);
    await fs.chmod(dir, asRoot ? 0o755 : 0o500);

    const refused = {
      code: "STORAGE_FAILED",
      retryable: false,
      message: expect.stringContaining('storage "main" cannot'),
      hint: expect.stringContaining(dir),
    };
    try {
      await asNobody(async () => {
        await expect(storage.put("new", Buffer.from("x"))).rejects.toMatchObject(refused);
        await expect(storage.get("closed/object")).rejects.toMatchObject(refused);
        await expect(keys(storage)).rejects.toMatchObject(refused);
        await expect(storage.remove("closed/object")).rejects.toMatchObject(refused);
      });
    } finally {
      await fs.chmod(dir, 0o700);
      await fs.chmod(join(dir, "closed"), 0o700);
    }
    expect(await keys(storage)).toEqual(["closed/object"]);
  });
});

describe.runIf(asRoot)("on a small disk", () => {
  async function mountSmallDisk(): Promise<string | undefined> {
    const dir = tempDir();
    try {
      await runTool({ command: "mount", args: ["-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", dir] });
    } catch {
      return undefined;
    }
    onTestFinished(async () => {
      await runTool({ command: "umount", args: [dir] });
    });
    return dir;
  }

  test("a full disk is INSUFFICIENT_STORAGE, leaves nothing of the object, and what fits still goes in", async (context) => {
    const dir = await mountSmallDisk();
    if (dir === undefined) return context.skip("mounting a tmpfs is not permitted here");
    const storage = await openAt(dir);
    await storage.put("kept/small", Buffer.alloc(100_000, 1));

    await expect(storage.put("kept/large", Buffer.alloc(2_000_000, 2))).rejects.toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: expect.stringContaining("kept/large"),
      hint: expect.stringContaining("backupctl delete"),
    });

    expect(readdirSync(dir, { recursive: true })).toEqual(["kept", "kept/small"]);
    await storage.put("kept/other", Buffer.alloc(100_000, 3));
    const space = await storage.space();
    expect(space.totalBytes).toBe(1024 * 1024);
    expect(space.freeBytes).toBeLessThan(900_000);
  });

  test("a disk mounted read-only is STORAGE_FAILED and says so", async (context) => {
    const dir = await mountSmallDisk();
    if (dir === undefined) return context.skip("mounting a tmpfs is not permitted here");
    const storage = await openAt(dir);
    await storage.put("object", Buffer.from("x"));
    await runTool({ command: "mount", args: ["-o", "remount,ro", dir] });

    await expect(storage.put("new", Buffer.from("x"))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      hint: expect.stringContaining("read-only"),
    });
    await expect(storage.remove("object")).rejects.toMatchObject({ code: "STORAGE_FAILED" });

    expect((await storage.get("object"))?.toString()).toBe("x");
    expect(await keys(storage)).toEqual(["object"]);
  });
});
