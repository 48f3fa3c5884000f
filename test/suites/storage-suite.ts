import { randomBytes } from "node:crypto";
import { describe, expect, onTestFinished, test } from "vitest";
import type { Storage, StoredObject } from "../../src/storage/storage.ts";

export interface StorageSuite {
  readonly name: string;
  /** A new, empty place. `again` opens the same place as another process would. */
  readonly open: Open;
  /** False where the place can't tell two writers of one name at the same moment apart: one test less. */
  readonly exclusiveNames?: boolean;
}

type Open = () => Promise<{ readonly storage: Storage; readonly again: () => Promise<Storage> }>;

/** The contract of src/storage/storage.ts: each sentence there is a test here. Every adapter passes all of it. */
export function storageSuite(suite: StorageSuite): void {
  async function open() {
    const { storage, again } = await suite.open();
    onTestFinished(() => storage.close());
    return {
      storage,
      async again() {
        const second = await again();
        onTestFinished(() => second.close());
        return second;
      },
    };
  }

  describe(`${suite.name} is a storage:`, () => {
    writing(open);
    if (suite.exclusiveNames !== false) racing(open);
    reading(open);
    listing(open);
    removing(open);
    refusing(open);
  });
}

async function keysBelow(storage: Storage, prefix: string): Promise<string[]> {
  return (await objectsBelow(storage, prefix)).map(({ key }) => key).sort();
}

async function objectsBelow(storage: Storage, prefix: string): Promise<StoredObject[]> {
  const found: StoredObject[] = [];
  for await (const object of storage.list(prefix)) found.push(object);
  return found;
}

function writing(open: Open): void {
  test("what put has acknowledged, list, stat and get see at once, from another connection too", async () => {
    const { storage, again } = await open();
    const bytes = randomBytes(1000);

    const stored = await storage.put("a/b/object", bytes);

    expect(stored).toMatchObject({ key: "a/b/object", sizeBytes: 1000 });
    const other = await again();
    expect(await keysBelow(other, "")).toEqual(["a/b/object"]);
    expect(await other.stat("a/b/object")).toMatchObject({ key: "a/b/object", sizeBytes: 1000 });
    expect(await other.get("a/b/object")).toEqual(bytes);
  });

  test("put of the same bytes again is success", async () => {
    const { storage, again } = await open();
    await storage.put("same", Buffer.from("the same bytes"));

    expect(await storage.put("same", Buffer.from("the same bytes"))).toMatchObject({ sizeBytes: 14 });
    expect(await (await again()).put("same", Buffer.from("the same bytes"))).toMatchObject({ sizeBytes: 14 });

    expect((await storage.get("same"))?.toString()).toBe("the same bytes");
  });

  test("a name is never overwritten: put of other bytes of the same length is OBJECT_CONFLICT", async () => {
    const { storage } = await open();
    await storage.put("taken", Buffer.from("first"));

    await expect(storage.put("taken", Buffer.from("other"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });

    expect((await storage.get("taken"))?.toString()).toBe("first");
    expect(await keysBelow(storage, "")).toEqual(["taken"]);
  });

  test("put of a longer or a shorter object under a taken name is OBJECT_CONFLICT", async () => {
    const { storage } = await open();
    await storage.put("taken", Buffer.from("first"));

    await expect(storage.put("taken", Buffer.from("first and more"))).rejects.toMatchObject({
      code: "OBJECT_CONFLICT",
    });
    await expect(storage.put("taken", Buffer.from("fir"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
    await expect(storage.put("taken", Buffer.alloc(0))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });

    expect((await storage.get("taken"))?.toString()).toBe("first");
  });

  test("two puts of the same bytes at the same time both succeed", async () => {
    const { storage, again } = await open();
    const other = await again();
    const bytes = randomBytes(100_000);

    await Promise.all([storage.put("twice", bytes), other.put("twice", bytes), storage.put("twice", bytes)]);

    expect((await storage.get("twice"))?.equals(bytes)).toBe(true);
  });

  test("many puts into new folders at the same time all succeed", async () => {
    const { storage } = await open();
    const keys = Array.from({ length: 20 }, (_, n) => `one/two/three-${n % 3}/object-${n}`);

    await Promise.all(keys.map((key) => storage.put(key, Buffer.from(key))));

    expect(await keysBelow(storage, "one")).toEqual([...keys].sort());
  });

  test("an empty object is an object", async () => {
    const { storage } = await open();

    await storage.put("empty", Buffer.alloc(0));

    expect(await storage.stat("empty")).toMatchObject({ sizeBytes: 0 });
    expect(await storage.get("empty")).toEqual(Buffer.alloc(0));
    expect(await keysBelow(storage, "")).toEqual(["empty"]);
  });

  test("an object of 32 MiB in shared memory is stored byte for byte", async () => {
    const { storage } = await open();
    const shared = new Uint8Array(new SharedArrayBuffer(32 * 1024 * 1024 + 7), 7);
    shared.set(randomBytes(1024 * 1024), 5_000_000);
    shared[shared.length - 1] = 99;

    await storage.put("big", shared);

    const back = await storage.get("big");
    expect(back?.length).toBe(shared.length);
    expect(Buffer.from(shared).equals(back!)).toBe(true);
    await storage.put("big", shared);
  });

  test("put stores the part of a buffer that it was given, and leaves the buffer as it was", async () => {
    const { storage } = await open();
    const buffer = Buffer.from("before|object|after");

    await storage.put("view", buffer.subarray(7, 13));

    expect((await storage.get("view"))?.toString()).toBe("object");
    expect(buffer.toString()).toBe("before|object|after");
  });

  test("an aborted put stores nothing", async () => {
    const { storage } = await open();

    await expect(
      storage.put("never", Buffer.from("x"), { signal: AbortSignal.abort(new Error("stop")) }),
    ).rejects.toThrow("stop");

    expect(await storage.stat("never")).toBeUndefined();
    expect(await keysBelow(storage, "")).toEqual([]);
  });
}

function racing(open: Open): void {
  test("of two puts of other bytes at the same time one is stored whole, the other is OBJECT_CONFLICT", async () => {
    const { storage, again } = await open();
    const other = await again();
    const [first, second] = [randomBytes(300_000), randomBytes(300_000)];

    const results = await Promise.allSettled([storage.put("race", first), other.put("race", second)]);

    const won = results.findIndex(({ status }) => status === "fulfilled");
    expect(results.filter(({ status }) => status === "fulfilled")).toHaveLength(1);
    expect(results[1 - won]).toMatchObject({ reason: { code: "OBJECT_CONFLICT" } });
    expect((await storage.get("race"))?.equals([first, second][won]!)).toBe(true);
  });
}

function reading(open: Open): void {
  test("a missing object is undefined, never an error", async () => {
    const { storage } = await open();
    await storage.put("folder/object", Buffer.from("x"));

    for (const key of ["nothing", "folder/nothing", "no/folder/at/all", "folder/object/below"]) {
      expect(await storage.get(key)).toBeUndefined();
      expect(await storage.get(key, { offset: 0, length: 1 })).toBeUndefined();
      expect(await storage.stat(key)).toBeUndefined();
    }
  });

  test("a folder is no object", async () => {
    const { storage } = await open();
    await storage.put("folder/object", Buffer.from("x"));

    expect(await storage.get("folder")).toBeUndefined();
    expect(await storage.stat("folder")).toBeUndefined();
  });

  test("get returns the bytes from offset, length of them", async () => {
    const { storage } = await open();
    await storage.put("digits", Buffer.from("0123456789"));

    expect((await storage.get("digits", { offset: 3, length: 4 }))?.toString()).toBe("3456");
    expect((await storage.get("digits", { offset: 0, length: 1 }))?.toString()).toBe("0");
    expect((await storage.get("digits", { offset: 9, length: 1 }))?.toString()).toBe("9");
  });

  test("get returns fewer bytes only where the object ends", async () => {
    const { storage } = await open();
    await storage.put("digits", Buffer.from("0123456789"));

    expect((await storage.get("digits", { offset: 8, length: 100 }))?.toString()).toBe("89");
    expect(await storage.get("digits", { offset: 10, length: 5 })).toEqual(Buffer.alloc(0));
    expect(await storage.get("digits", { offset: 1000, length: 5 })).toEqual(Buffer.alloc(0));
  });

  test("get of no bytes returns none of an object that is there", async () => {
    const { storage } = await open();
    await storage.put("digits", Buffer.from("0123456789"));

    expect(await storage.get("digits", { offset: 4, length: 0 })).toEqual(Buffer.alloc(0));
  });

  test("an aborted get ends with the reason of the abort", async () => {
    const { storage } = await open();
    await storage.put("there", Buffer.from("x"));

    const aborted = storage.get("there", undefined, { signal: AbortSignal.abort(new Error("stop")) });

    await expect(aborted).rejects.toThrow("stop");
  });

  test("stat and list tell the same size and time, near the time of the put", async () => {
    const { storage } = await open();
    const before = Date.now();

    await storage.put("object", Buffer.from("12345"));

    const [listed] = await objectsBelow(storage, "");
    const facts = await storage.stat("object");
    expect(listed).toMatchObject({ key: "object", sizeBytes: 5 });
    expect(facts).toMatchObject({ sizeBytes: 5, modifiedAt: listed?.modifiedAt });
    expect(Math.abs(facts!.modifiedAt.getTime() - before)).toBeLessThan(60_000);
  });
}

function listing(open: Open): void {
  test("list of an empty place, and of a folder that does not exist, is empty", async () => {
    const { storage } = await open();

    expect(await keysBelow(storage, "")).toEqual([]);
    expect(await keysBelow(storage, "no/such/folder")).toEqual([]);
  });

  test("list returns every object below the prefix, at any depth", async () => {
    const { storage } = await open();
    const keys = ["a/1", "a/b/2", "a/b/c/3", "b/4", "top.json"];
    for (const key of keys) await storage.put(key, Buffer.from(key));

    expect(await keysBelow(storage, "")).toEqual(keys);
    expect(await keysBelow(storage, "a")).toEqual(["a/1", "a/b/2", "a/b/c/3"]);
    expect(await keysBelow(storage, "a/b/")).toEqual(["a/b/2", "a/b/c/3"]);
  });

  test("a prefix is a folder, not the beginning of a name", async () => {
    const { storage } = await open();
    for (const key of ["ab/1", "a/2", "a.json", "abc"]) await storage.put(key, Buffer.from(key));

    expect(await keysBelow(storage, "a")).toEqual(["a/2"]);
    expect(await keysBelow(storage, "abc")).toEqual([]);
  });

  test("list is complete beyond one page of a service", async () => {
    const { storage } = await open();
    const keys = Array.from({ length: 1100 }, (_, n) => `many/${String(n).padStart(4, "0")}`);
    for (let at = 0; at < keys.length; at += 50) {
      await Promise.all(keys.slice(at, at + 50).map((key) => storage.put(key, Buffer.from("x"))));
    }

    expect(await keysBelow(storage, "many")).toEqual(keys);
  });

  test("an aborted list throws instead of ending early", async () => {
    const { storage } = await open();
    await storage.put("object", Buffer.from("x"));

    const collect = async () => {
      for await (const _ of storage.list("", { signal: AbortSignal.abort(new Error("stop")) }));
    };

    await expect(collect()).rejects.toThrow("stop");
  });
}

function removing(open: Open): void {
  test("a removed object is gone for get, stat and list, and its neighbours stay", async () => {
    const { storage } = await open();
    await storage.put("folder/one", Buffer.from("1"));
    await storage.put("folder/two", Buffer.from("2"));

    await storage.remove("folder/one");

    expect(await storage.get("folder/one")).toBeUndefined();
    expect(await storage.stat("folder/one")).toBeUndefined();
    expect(await keysBelow(storage, "")).toEqual(["folder/two"]);
  });

  test("remove of a name that does not exist is success", async () => {
    const { storage } = await open();

    await storage.remove("nothing");
    await storage.remove("no/folder/nothing");

    expect(await keysBelow(storage, "")).toEqual([]);
  });

  test("a removed name can be put again with other bytes", async () => {
    const { storage } = await open();
    await storage.put("folder/name", Buffer.from("old"));
    await storage.remove("folder/name");

    await storage.put("folder/name", Buffer.from("new"));

    expect((await storage.get("folder/name"))?.toString()).toBe("new");
  });

  test("puts succeed while the last object of their folder is removed", async () => {
    const { storage, again } = await open();
    const other = await again();

    for (let round = 0; round < 10; round++) {
      await storage.put(`folder/deep/old-${round}`, Buffer.from("old"));
      await Promise.all([
        storage.remove(`folder/deep/old-${round}`),
        other.put(`folder/deep/new-${round}`, Buffer.from("new")),
      ]);
      expect(await keysBelow(storage, "")).toEqual([`folder/deep/new-${round}`]);
      await storage.remove(`folder/deep/new-${round}`);
    }
  });
}

function refusing(open: Open): void {
  const names = [
    "",
    "/a",
    "a/",
    "a//b",
    "..",
    "a/../b",
    ".",
    "a b",
    "ä",
    "a\\b",
    "a\nb",
    "a/.part-1",
    `${"n".repeat(256)}`,
  ];

  test("a key that leads out of the storage, or that some storage can't take, is refused by every operation", async () => {
    const { storage } = await open();

    for (const key of names) {
      await expect(storage.put(key, Buffer.from("x"))).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(storage.get(key)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(storage.stat(key)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
      await expect(storage.remove(key)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
    }
    await expect(objectsBelow(storage, "../elsewhere")).rejects.toMatchObject({ code: "STORAGE_FAILED" });

    expect(await keysBelow(storage, "")).toEqual([]);
  });

  test("names of every allowed kind are taken, up to 255 characters a member", async () => {
    const { storage } = await open();
    const keys = ["-", "...", ".hidden", "A_z-0.9", "SHA256SUMS", `deep/${"n".repeat(255)}`];

    for (const key of keys) await storage.put(key, Buffer.from(key));

    expect(await keysBelow(storage, "")).toEqual([...keys].sort());
  });

  test("it tells its free space as numbers, or not at all", async () => {
    const { storage } = await open();

    const space = await storage.space();

    if (space.freeBytes !== undefined) expect(space.freeBytes).toBeGreaterThan(0);
    if (space.totalBytes !== undefined) expect(space.totalBytes).toBeGreaterThanOrEqual(space.freeBytes ?? 0);
  });

  test("its name is the configured one and its address is the same for every connection", async () => {
    const { storage, again } = await open();

    const other = await again();

    expect(other.name).toBe(storage.name);
    expect(other.address).toBe(storage.address);
    expect(storage.address).toMatch(/^[a-z0-9]+:/);
  });
}
