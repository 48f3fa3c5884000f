import { chmodSync, mkdirSync, readdirSync, readFileSync, symlinkSync, utimesSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { runTool } from "../../../src/platform/process.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { type FtpServer, startVsftpd } from "../../servers/vsftpd.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.ftp!;

describe.runIf(requireOrSkip("vsftpd", "root"))("ftp", () => {
  let server: FtpServer;

  beforeAll(async () => {
    server = await startVsftpd();
  });

  afterAll(() => server.stop());

  function options(path: string): Record<string, unknown> {
    const { host, port, user, password, caFile } = server;
    return { host, port, user, password, path, ca_file: caFile };
  }

  async function openAt(path: string, context: Partial<StorageContext> = {}): Promise<Storage> {
    const storage = await definition.open(options(path), { name: "offsite", ...context });
    onTestFinished(() => storage.close());
    return storage;
  }

  storageSuite({
    name: "ftp",
    exclusiveNames: false,
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
    test("a folder that does not exist is STORAGE_NOT_FOUND with the way to make it, and init makes it", async () => {
      const path = join(server.newFolder(), "deep/backups");

      await expect(openAt(path)).rejects.toMatchObject({
        code: "STORAGE_NOT_FOUND",
        message: expect.stringContaining(path),
        hint: expect.stringContaining("`backupctl init`"),
      });
      const storage = await openAt(path, { create: true });

      expect(await keys(storage)).toEqual([]);
      await openAt(path);
      await openAt(path, { create: true });
    });

    test("a file in its place is told as one", async () => {
      const file = join(server.newFolder(), "file");
      writeFileSync(file, "");

      for (const path of [file, join(file, "below")]) {
        for (const create of [true, false]) {
          await expect(openAt(path, { create })).rejects.toMatchObject({
            ...{ code: "STORAGE_NOT_FOUND", retryable: false },
            message: expect.stringContaining(`${file} on the server is no folder`),
            hint: expect.stringContaining("`path`"),
          });
        }
      }
    });

    test("the address names login, server and folder, and no secret", async () => {
      const { host, port, user } = server;
      const at = (path: string) => definition.address(options(path));

      expect(await at("/a//b/../c/")).toBe(`ftp://${user}@${host}:${port}/a/c`);
      expect(await at("~/backups")).toBe(`ftp://${user}@${host}:${port}/~/backups`);
      expect(await at("backups")).toBe(await at("~/backups/"));
    });
  });

  describe("files", () => {
    test("objects are ordinary files, and nothing else is left", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      const bytes = Buffer.from("\r\n\n\r a \u0000 \r\n");

      await storage.put("database/daily/app.pgdump", bytes);
      await expect(storage.put("database/daily/app.pgdump", Buffer.from("other"))).rejects.toMatchObject({
        code: "OBJECT_CONFLICT",
      });

      expect(readFileSync(join(folder, "database/daily/app.pgdump")).equals(bytes)).toBe(true);
      expect(readdirSync(join(folder, "database/daily"))).toEqual(["app.pgdump"]);
    });

    test("after a range was read, the same connection goes on", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      const bytes = Buffer.alloc(8 * 1024 * 1024, "0123456789");
      await storage.put("pack", bytes);
      const before = server.logins();

      for (let round = 0; round < 10; round++) {
        const range = { offset: round * 100_001, length: 1000 };
        expect((await storage.get("pack", range))?.equals(bytes.subarray(range.offset, range.offset + 1000))).toBe(
          true,
        );
        expect(await storage.stat("pack")).toMatchObject({ sizeBytes: bytes.length });
      }

      expect(server.logins()).toBe(before);
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

    test("what is not ours is not listed; a part older than a day goes, a younger one stays", async () => {
      const folder = server.newFolder();
      const storage = await openAt(folder);
      await storage.put("alive/object", Buffer.from("x"));
      for (const name of [".part-old", ".part-young", "my notes (1).txt"])
        writeFileSync(join(folder, "alive", name), "");
      symlinkSync("/etc/passwd", join(folder, "alive/link"));
      symlinkSync("/etc", join(folder, "alive/loop"));
      await runTool({ command: "chown", args: ["-R", server.user, folder] });
      const hoursAgo = (hours: number) => (Date.now() - hours * 3_600_000) / 1000;
      utimesSync(join(folder, "alive/.part-old"), hoursAgo(25), hoursAgo(25));
      utimesSync(join(folder, "alive/.part-young"), hoursAgo(23), hoursAgo(23));

      expect(await keys(storage)).toEqual(["alive/object"]);

      expect(readdirSync(join(folder, "alive")).sort()).toEqual([
        ".part-young",
        "link",
        "loop",
        "my notes (1).txt",
        "object",
      ]);
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
      await storage.put("unreadable", Buffer.from("x"));
      mkdirSync(join(folder, "fixed"));
      writeFileSync(join(folder, "fixed/object"), "x");
      chmodSync(join(folder, "closed"), 0o000);
      chmodSync(join(folder, "unreadable"), 0o000);
      chmodSync(folder, 0o555);

      const refused = { code: "STORAGE_DENIED", retryable: false, hint: expect.stringContaining(folder) };
      await expect(storage.put("new", Buffer.from("x"))).rejects.toMatchObject(refused);
      await expect(storage.put("folder/new", Buffer.from("x"))).rejects.toMatchObject(refused);
      await expect(storage.get("closed/object")).rejects.toMatchObject(refused);
      await expect(storage.get("unreadable")).rejects.toMatchObject(refused);
      await expect(keys(storage)).rejects.toMatchObject(refused);
      await expect(storage.remove("fixed/object")).rejects.toMatchObject(refused);
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

      for (const size of [2_000_000, 20_000_000]) {
        await expect(storage.put("kept/large", Buffer.alloc(size, 2))).rejects.toMatchObject({
          code: "INSUFFICIENT_STORAGE",
          message: expect.stringContaining("kept/large"),
          hint: expect.stringContaining("backupctl delete"),
        });
      }

      expect(readdirSync(folder, { recursive: true })).toEqual(["kept", "kept/small"]);
      await storage.put("kept/other", Buffer.alloc(100_000, 3));
      expect(await storage.space()).toEqual({});
    });
  });
});
