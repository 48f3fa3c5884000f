import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { type Outages, openResilient } from "../../../src/storage/resilient/open.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { fakeRun } from "../../helpers/fake-run.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { type MemoryObjects, memoryStorage } from "../../helpers/memory-storage.ts";
import { NO_LIMITS } from "../../helpers/no-limits.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const reset = new BackupctlError("STORAGE_FAILED", "connection reset", { retryable: true });

const ALL_LIMITS = {
  retryForMs: 3_600_000,
  stallTimeoutMs: 1_000,
  concurrency: 2,
  uploadBytesPerSecond: 1_000_000,
  downloadBytesPerSecond: 1_000_000,
  quotaBytes: 1e12,
};

/** Every third call fails before its effect, every fifth after it. */
function flaky(inner: Storage): Storage {
  const faulty = faultyStorage(inner);
  for (const operation of ["put", "get", "stat", "list", "remove", "space"] as const) {
    for (let n = 3; n < 10_000; n += 3) faulty.onCall(operation, n).fail(reset);
    for (let n = 5; n < 10_000; n += 5) faulty.onCall(operation, n).failAfterVisible(reset);
  }
  return faulty;
}

storageSuite({
  name: "a storage that fails now and then, with every limit",
  open: async () => {
    const objects: MemoryObjects = new Map();
    const again = () =>
      openResilient({
        name: "memory",
        limits: ALL_LIMITS,
        run: fakeRun(),
        open: async () => flaky(memoryStorage({ objects })),
      });
    return { storage: await again(), again };
  },
});

describe("opening a storage", () => {
  it("is tried again as its calls are", async () => {
    const run = fakeRun();
    let tries = 0;
    const open = async (): Promise<Storage> => {
      tries += 1;
      if (tries < 5) throw reset;
      return memoryStorage();
    };

    await openResilient({ name: "memory", limits: { ...NO_LIMITS, retryForMs: 60_000 }, run, open });

    expect(tries).toBe(5);
    expect(run.told).toHaveLength(2);
  });

  it("is tried for so long once in a run, however often it is opened", async () => {
    const run = fakeRun();
    const outages: Outages = new Map();
    const opening = () =>
      openResilient({
        name: "memory",
        limits: { ...NO_LIMITS, retryForMs: 60_000 },
        run,
        outages,
        open: async () => Promise.reject(reset),
      });

    await expect(opening()).rejects.toThrow("connection reset (tried");
    const [told, slept] = [run.told.length, run.slept.length];
    await expect(opening()).rejects.toThrow(/connection reset$/);

    expect([run.told.length, run.slept.length]).toEqual([told, slept]);
  });

  it("says what to do about a failure of which nobody else knows that", async () => {
    const faulty = faultyStorage(memoryStorage());
    for (const operation of ["put", "get", "stat", "list", "remove", "space"] as const)
      faulty.onCall(operation, "every").fail(reset);
    const open = async (): Promise<Storage> => faulty;
    const storage = await openResilient({ name: "memory", limits: NO_LIMITS, run: fakeRun(), open });
    const calls = [
      storage.put("a", Buffer.from("")),
      storage.get("a"),
      storage.stat("a"),
      storage.remove("a"),
      storage.space(),
      storage.list("")[Symbol.asyncIterator]().next(),
      openResilient({
        name: "memory",
        limits: NO_LIMITS,
        run: fakeRun(),
        open: async () => Promise.reject(reset),
      }),
    ];

    const settled = await Promise.allSettled(calls);

    for (const result of settled) {
      expect(result).toMatchObject({
        reason: {
          code: "STORAGE_FAILED",
          message: reset.message,
          retryable: true,
          hint: "See what works and what does not with `backupctl storage check memory`.",
        },
      });
    }
  });

  it("keeps the hint that an adapter gives", async () => {
    const busy = new BackupctlError("STORAGE_FAILED", "busy", { hint: "Wait." });
    const open = async (): Promise<Storage> => faultyStorage(memoryStorage()).onCall("get", 1).fail(busy);

    const storage = await openResilient({ name: "memory", limits: NO_LIMITS, run: fakeRun(), open });

    await expect(storage.get("a")).rejects.toBe(busy);
  });

  it("fails at once where the place is missing or the login wrong", async () => {
    const missing = new BackupctlError("STORAGE_NOT_FOUND", "no such bucket");
    const opening = openResilient({
      name: "memory",
      limits: ALL_LIMITS,
      run: fakeRun(),
      open: async () => Promise.reject(missing),
    });

    await expect(opening).rejects.toBe(missing);
  });

  it("gives the adapter its name and stall timeout", async () => {
    const contexts: StorageContext[] = [];
    const open = async (context: StorageContext): Promise<Storage> => {
      contexts.push(context);
      return memoryStorage();
    };

    await openResilient({ name: "memory", limits: ALL_LIMITS, run: fakeRun(), open });

    expect(contexts).toEqual([{ name: "memory", stallTimeoutMs: 1_000 }]);
  });
});

describe("a storage within its limits", () => {
  it("has the name, the address and the probes of what it is made of", async () => {
    const scratches: string[] = [];
    const inner: Storage = {
      ...memoryStorage({ name: "site" }),
      async *probe(scratch) {
        scratches.push(scratch);
        yield { what: "locks", outcome: "works" };
      },
    };
    const storage = await openResilient({ name: "site", limits: ALL_LIMITS, run: fakeRun(), open: async () => inner });

    expect(storage).toMatchObject({ name: "site", address: inner.address, capabilities: inner.capabilities });
    for await (const found of storage.probe?.("scratch") ?? []) expect(found.what).toBe("locks");
    expect(scratches).toEqual(["scratch"]);
  });

  it("reads a long object through a line that breaks off each time before its end", async () => {
    const inner = memoryStorage();
    const bytes = Buffer.alloc(10_000_000, "0123456789");
    await inner.put("long", bytes);
    const short: Storage = {
      ...inner,
      get: async (key, range, options) => {
        if (range === undefined || range.length > 2_000_000) throw reset;
        return inner.get(key, range, options);
      },
    };
    const limits = { ...NO_LIMITS, retryForMs: 60_000, downloadBytesPerSecond: 1_000_000 };
    const storage = await openResilient({ name: "memory", limits, run: fakeRun(), open: async () => short });

    expect((await storage.get("long", { offset: 0, length: bytes.length }))?.equals(bytes)).toBe(true);
  });
});
