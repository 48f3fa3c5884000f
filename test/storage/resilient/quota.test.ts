import { describe, expect, it } from "vitest";
import { withQuota } from "../../../src/storage/resilient/quota.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { memoryStorage } from "../../helpers/memory-storage.ts";

const hundred = Buffer.alloc(100);

describe("a storage with a quota", () => {
  it("tells what is left of it: what lay there, was put and was removed is counted", async () => {
    const inner = memoryStorage();
    await inner.put("before", hundred);
    const storage = withQuota(inner, 1_000);

    expect(await storage.space()).toEqual({ freeBytes: 900, totalBytes: 1_000, quotaBytes: 1_000 });
    await storage.put("one", hundred);
    await storage.put("two", hundred);
    expect(await storage.space()).toEqual({ freeBytes: 700, totalBytes: 1_000, quotaBytes: 1_000 });
    await storage.remove("before");
    await storage.remove("nothing");
    expect(await storage.space()).toEqual({ freeBytes: 800, totalBytes: 1_000, quotaBytes: 1_000 });
  });

  it("tells less where the place itself has less", async () => {
    const storage = withQuota(memoryStorage({ capacityBytes: 300 }), 1_000);

    expect(await storage.space()).toEqual({ freeBytes: 300, totalBytes: 1_000 });
  });

  it("refuses a put that would be over it, of several at once too, and stores nothing of it", async () => {
    const inner = memoryStorage();
    const storage = withQuota(inner, 350);

    const results = await Promise.allSettled(["a", "b", "c", "d", "e"].map((key) => storage.put(key, hundred)));

    const refused = results.filter((result) => result.status === "rejected");
    expect(refused).toHaveLength(2);
    expect(refused[0]?.reason).toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: 'storage "memory" would be over its quota of 350 B with d',
      retryable: false,
    });
    expect(inner.objects.size).toBe(3);
    await storage.remove("a");
    await storage.put("d", hundred);
  });

  it("lets the mark of a deletion be put where it is used up, and counts it", async () => {
    const storage = withQuota(memoryStorage(), 100);
    await storage.put("old", hundred);

    await storage.put("full/deleted.json", hundred);

    await storage.remove("old");
    await expect(storage.put("new", hundred)).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });
    await storage.remove("full/deleted.json");
    await storage.put("new", hundred);
  });

  it("looks again before it refuses: another host may have made room", async () => {
    const inner = memoryStorage();
    const storage = withQuota(inner, 150);
    await storage.put("old", hundred);
    await inner.remove("old");

    await storage.put("new", hundred);

    expect([...inner.objects.keys()]).toEqual(["new"]);
  });

  it("does not count what failed", async () => {
    const storage = withQuota(faultyStorage(memoryStorage()).onCall("put", 1).fail(new Error("broken")), 150);

    await expect(storage.put("a", hundred)).rejects.toThrow("broken");

    expect(await storage.space()).toEqual({ freeBytes: 150, totalBytes: 150, quotaBytes: 150 });
  });

  it("sums up once for all that ask", async () => {
    const inner = faultyStorage(memoryStorage());
    const storage = withQuota(inner, 10_000);

    await Promise.all(Array.from({ length: 20 }, (_, n) => storage.put(`object-${n}`, hundred)));
    await storage.space();

    expect(inner.calls.filter(({ operation }) => operation === "list")).toHaveLength(1);
  });

  it("sums up anew for the next one where that failed", async () => {
    const storage = withQuota(faultyStorage(memoryStorage()).onCall("list", 1).fail(new Error("broken")), 1_000);

    await expect(storage.space()).rejects.toThrow("broken");

    expect(await storage.space()).toEqual({ freeBytes: 1_000, totalBytes: 1_000, quotaBytes: 1_000 });
  });
});
