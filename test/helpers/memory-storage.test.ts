import { expect, test } from "vitest";
import { storageSuite } from "../suites/storage-suite.ts";
import { type MemoryObjects, memoryStorage } from "./memory-storage.ts";

storageSuite({
  name: "memory",
  open: async () => {
    const objects: MemoryObjects = new Map();
    return { storage: memoryStorage({ objects }), again: async () => memoryStorage({ objects }) };
  },
});

test("a memory storage with a capacity is full beyond it", async () => {
  const storage = memoryStorage({ capacityBytes: 10 });
  await storage.put("fits", Buffer.alloc(8));

  await expect(storage.put("does-not", Buffer.alloc(3))).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });

  expect(await storage.space()).toEqual({ freeBytes: 2, totalBytes: 10 });
});
