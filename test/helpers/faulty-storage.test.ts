import { expect, test } from "vitest";
import { storageSuite } from "../suites/storage-suite.ts";
import { faultyStorage } from "./faulty-storage.ts";
import { type MemoryObjects, memoryStorage } from "./memory-storage.ts";

storageSuite({
  name: "a faulty storage without a fault",
  open: async () => {
    const objects: MemoryObjects = new Map();
    const open = () => faultyStorage(memoryStorage({ objects }));
    return { storage: open(), again: async () => open() };
  },
});

test("only the n-th call fails, and has no effect", async () => {
  const storage = faultyStorage(memoryStorage()).onCall("put", 2).fail(new Error("broken"));
  await storage.put("one", Buffer.from("1"));

  await expect(storage.put("two", Buffer.from("2"))).rejects.toThrow("broken");

  expect(await storage.stat("two")).toBeUndefined();
  await storage.put("two", Buffer.from("2"));
  expect(storage.calls.map(({ key }) => key)).toEqual(["one", "two", "two", "two"]);
});

test("a put that fails after it was visible has stored the object", async () => {
  const storage = faultyStorage(memoryStorage())
    .onKey("put", /metadata/)
    .failAfterVisible(new Error("lost"));

  await expect(storage.put("a/metadata.json", Buffer.from("{}"))).rejects.toThrow("lost");

  expect((await storage.get("a/metadata.json"))?.toString()).toBe("{}");
});

test("a hanging call ends when it is aborted", async () => {
  const storage = faultyStorage(memoryStorage()).onCall("get", "every").hang();

  await expect(storage.get("x", undefined, { signal: AbortSignal.timeout(20) })).rejects.toThrow(/timeout/i);
});

test("corruption changes what is stored, or what is read", async () => {
  const flip = (bytes: Buffer) => Buffer.from(bytes.map((byte) => byte ^ 1));
  const storage = faultyStorage(memoryStorage()).onCall("put", 1).corrupt(flip).onCall("get", 2).corrupt(flip);
  await storage.put("x", Buffer.from([0, 2]));

  expect(await storage.get("x")).toEqual(Buffer.from([1, 3]));
  expect(await storage.get("x")).toEqual(Buffer.from([0, 2]));
});

test("something else can happen just before a call", async () => {
  const inner = memoryStorage();
  const storage = faultyStorage(inner)
    .onCall("list", 1)
    .meanwhile(() => inner.put("sneaked-in", Buffer.from("x")));

  const keys: string[] = [];
  for await (const { key } of storage.list("")) keys.push(key);

  expect(keys).toEqual(["sneaked-in"]);
});
