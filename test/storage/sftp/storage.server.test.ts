import {
  chmodSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runTool } from "../../../src/platform/process.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type SshServer, startSshd } from "../../servers/sshd.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.sftp!;

describe.runIf(requireOrSkip("sshd", "root"))("sftp", () => {
  let server: SshServer;

  beforeAll(async () => {
    server = await startSshd();
  });

  afterAll(() => server.stop());

  function options(path: string): Record<string, unknown> {
    const { host, port, user, privateKey, fingerprint } = server;
    return { host, port, user, path, private_key: privateKey, host_key: fingerprint };
  }

  async function openAt(path: string, context: Partial<StorageContext> = {}): Promise<Storage> {
    const storage = await definition.open(options(path), { name: "offsite", ...context });
    onTestFinished(() => storage.close());
    return storage;
  }

  storageSuite({
    name: "sftp",
    open: async () => {
      const path = server.newFolder();
      const open = () => definition.open(options(path), { name: "offsite" });
      return { storage: await open(), again: open };
    },
  });

  async function keys(storage: Storage, prefix = ""): Promise<string[]> {
    const found: string[] = [];
    for await (const { key } of storage.list(prefix)) found.push(key);
    return found.sort();
  }

  describe("opening", () => {
    test("a folder that does not exist is STORAGE_NOT_FOUND with the way to make it, and init makes it for the login only", async () => {
      const path = join(server.newFolder(), "deep/backups");

      await expect(openAt(path)).rejects.toMatchObject({
        code: "STORAGE_NOT_FOUND",
        message: expect.stringContaining(path),
        hint: expect.stringContaining("`backupctl init`"),
      });
      const storage = await openAt(path, { create: true });

      expect(await keys(storage)).toEqual([]);
      expect(statSync(path).mode & 0o777).toBe(0o700);
      await openAt(path);
      await openAt(path, { create: true });
    });

    test("a file in its place is STORAGE_NOT_FOUND", async () => {
      const folder = server.newFolder();
      writeFileSync(join(folder, "file"), "");

      for (const path of [join(folder, "file"), join(folder, "file", "below")]) {
        await expect(openAt(path, { create: true })).rejects.toMatchObject({
          ...{ code: "STORAGE_NOT_FOUND", retryable: false },
          message: expect.stringContaining(`${join(folder, "file")} on the server is no folder`),
          hint: expect.stringContaining("`path`"),
        });
      }
      await expect(openAt(join(folder, "file"))).rejects.toMatchObject({
        code: "STORAGE_NOT_FOUND",
        hint: expect.not.stringContaining("init"),
      });
    });

    test("the address names login, server and folder, and no secret", async () => {
      const { host, port, user } = server;
      const at = (path: string) => definition.address({ ...options(path), password: "secret" });

      expect(await at("/a//b/../c/")).toBe(`sftp://${user}@${host}:${port}/a/c`);
      expect(await at("~/backups")).toBe(`sftp://${user}@${host}:${port}/~/backups`);
      expect(await at("backups")).toBe(await at("~/backups/"));
    });
  });

  describe("files", () => {
    test("objects are ordinary files for the login only, and nothing else is left", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);

      await storage.put("database/daily/app.pgdump", Buffer.from("bytes"));

      const file = join(folder, "database/daily/app.pgdump");
      expect(readFileSync(file, "utf8")).toBe("bytes");
      expect(statSync(file)).toMatchObject({ nlink: 1 });
      expect(statSync(file).mode & 0o777).toBe(0o600);
      expect(statSync(join(folder, "database")).mode & 0o777).toBe(0o700);
      expect(readdirSync(join(folder, "database/daily"))).toEqual(["app.pgdump"]);
    });

    test("a refused put leaves no part behind", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      await storage.put("name", Buffer.from("first"));

      await expect(storage.put("name", Buffer.from("other"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });

      expect(readdirSync(folder)).toEqual(["name"]);
    });

    test("a folder, a link or a pipe in an object's place is a conflict, no object, and nobody waits for its writer", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      mkdirSync(join(folder, "folder"));
      symlinkSync("/etc/passwd", join(folder, "link"));
      await runTool({ command: "mkfifo", args: ["-m", "666", join(folder, "pipe")] });

      for (const key of ["folder", "link", "pipe"]) {
        expect(await storage.get(key)).toBeUndefined();
        await expect(storage.put(key, Buffer.from("x"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
      }
      expect(await keys(storage)).toEqual([]);
    });

    test("removing the last object removes its folders, but neither others' nor the root", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      await storage.put("a/b/c/one", Buffer.from("1"));
      await storage.put("a/two", Buffer.from("2"));

      await storage.remove("a/b/c/one");
      expect(readdirSync(folder, { recursive: true })).toEqual(["a", "a/two"]);

      await storage.remove("a/two");
      expect(readdirSync(folder)).toEqual([]);
    });

    test("what is not ours is not listed; a part older than a day goes with its empty folders, a younger one stays", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      await storage.put("alive/object", Buffer.from("x"));
      await storage.put("dead/run/object", Buffer.from("x"));
      for (const name of [".part-old", ".part-young", "my notes (1).txt"])
        writeFileSync(join(folder, "alive", name), "");
      writeFileSync(join(folder, "dead/run/.part-old"), "half");
      await storage.remove("dead/run/object");
      const hoursAgo = (hours: number) => (Date.now() - hours * 3_600_000) / 1000;
      for (const name of ["alive/.part-old", "dead/run/.part-old"])
        utimesSync(join(folder, name), hoursAgo(25), hoursAgo(25));
      utimesSync(join(folder, "alive/.part-young"), hoursAgo(23), hoursAgo(23));

      expect(await keys(storage)).toEqual(["alive/object"]);

      expect(readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()).toEqual([
        "alive",
        "alive/.part-young",
        "alive/my notes (1).txt",
        "alive/object",
      ]);
    });

    test("the free space is that of the server's disk", async () => {
      const { freeBytes = 0, totalBytes = 0 } = await (await openAt(server.newFolder())).space();

      expect(totalBytes).toBeGreaterThan(freeBytes);
      expect(freeBytes).toBeGreaterThan(1_000_000);
    });
  });

  describe("a place that goes away", () => {
    test("is never taken for an empty one, and is not made anew", async () => {
      const folder = join(server.newFolder(), "disk");
      const storage = await openAt(folder, { create: true });
      await storage.put("folder/object", Buffer.from("x"));
      await runTool({ command: "mv", args: [folder, `${folder}-unmounted`] });

      const gone = { code: "STORAGE_NOT_FOUND" };
      await expect(keys(storage)).rejects.toMatchObject(gone);
      await expect(storage.get("folder/object")).rejects.toMatchObject(gone);
      await expect(storage.stat("folder/object")).rejects.toMatchObject(gone);
      await expect(storage.put("folder/new", Buffer.from("x"))).rejects.toMatchObject(gone);
      await expect(storage.remove("folder/object")).rejects.toMatchObject(gone);
    });

    test("without permission it is STORAGE_DENIED with the way to get it, and a list is not empty but fails", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      await storage.put("closed/object", Buffer.from("x"));
      chmodSync(join(folder, "closed"), 0o000);
      chmodSync(folder, 0o555);

      const refused = { code: "STORAGE_DENIED", retryable: false, hint: expect.stringContaining(folder) };
      await expect(storage.put("new", Buffer.from("x"))).rejects.toMatchObject(refused);
      await expect(storage.put("folder/new", Buffer.from("x"))).rejects.toMatchObject(refused);
      await expect(storage.get("closed/object")).rejects.toMatchObject(refused);
      await expect(keys(storage)).rejects.toMatchObject(refused);
      await expect(storage.remove("closed/object")).rejects.toMatchObject(refused);

      chmodSync(join(folder, "closed"), 0o700);
      expect(await keys(storage)).toEqual(["closed/object"]);
    });
  });

  describe("a small disk", () => {
    async function smallDisk(): Promise<string | undefined> {
      const folder = server.newFolder();
      try {
        await runTool({ command: "mount", args: ["-t", "tmpfs", "-o", "size=1m,mode=777", "tmpfs", folder] });
      } catch {
        return undefined;
      }
      onTestFinished(async () => {
        await runTool({ command: "umount", args: ["-l", folder] });
      });
      return folder;
    }

    test("that is full is INSUFFICIENT_STORAGE, keeps nothing of the object, and what fits still goes in", async (context) => {
      const folder = await smallDisk();
      if (folder === undefined) return context.skip("mounting a tmpfs is not permitted here");
      const storage = await openAt(folder);
      await storage.put("kept/small", Buffer.alloc(100_000, 1));

      await expect(storage.put("kept/large", Buffer.alloc(2_000_000, 2))).rejects.toMatchObject({
        code: "INSUFFICIENT_STORAGE",
        message: expect.stringContaining("kept/large"),
        hint: expect.stringContaining("backupctl delete"),
      });

      expect(readdirSync(folder, { recursive: true })).toEqual(["kept", "kept/small"]);
      await storage.put("kept/other", Buffer.alloc(100_000, 3));
      expect(await storage.space()).toMatchObject({ totalBytes: 1024 * 1024 });
    });
  });
});
