import { describe, expect, it } from "vitest";
import { limited } from "../../../src/storage/resilient/limited.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { memoryStorage } from "../../helpers/memory-storage.ts";

/** Counts the calls that are under way, each of which takes two turns. */
function counting(inner: Storage): {
  readonly storage: Storage;
  readonly most: () => number;
  readonly order: string[];
} {
  let underWay = 0;
  let most = 0;
  const order: string[] = [];
  const get: Storage["get"] = async (key, range, options) => {
    underWay += 1;
    most = Math.max(most, underWay);
    order.push(key);
    await new Promise((resolve) => setTimeout(resolve, 2));
    underWay -= 1;
    return inner.get(key, range, options);
  };
  return { storage: { ...inner, get }, most: () => most, order };
}

const keys = Array.from({ length: 30 }, (_, n) => `object-${n}`);

describe("a storage with a limit of calls at the same time", () => {
  it("never has more of them under way, and lets them in as they came", async () => {
    const { storage, most, order } = counting(memoryStorage());
    const limitedStorage = limited(storage, 3);

    await Promise.all(keys.map((key) => limitedStorage.get(key)));

    expect(most()).toBe(3);
    expect(order).toEqual(keys);
  });

  it("lets the next one in when a call fails", async () => {
    const inner = faultyStorage(memoryStorage())
      .onKey("get", /[0-4]$/)
      .fail(new Error("broken"));
    const storage = limited(inner, 1);

    const results = await Promise.allSettled(keys.map((key) => storage.get(key)));

    expect(results.filter(({ status }) => status === "rejected")).toHaveLength(15);
  });

  it("lets go who is aborted while waiting, and the others in", async () => {
    const { storage, order } = counting(memoryStorage());
    const limitedStorage = limited(storage, 1);
    const controller = new AbortController();
    const first = limitedStorage.get("first");
    const aborted = limitedStorage.get("aborted", undefined, { signal: controller.signal });
    const last = limitedStorage.get("last");

    controller.abort(new Error("stop"));

    await expect(aborted).rejects.toThrow("stop");
    await Promise.all([first, last]);
    expect(order).toEqual(["first", "last"]);
  });

  it("can be asked for each object of a listing while that goes on", async () => {
    const inner = memoryStorage();
    for (let n = 0; n < 2_500; n++) await inner.put(`object-${n}`, Buffer.from(`${n}`));
    const storage = limited(inner, 1);
    let found = 0;

    for await (const { key } of storage.list("")) {
      expect((await storage.get(key))?.toString()).toBe(key.slice("object-".length));
      found += 1;
    }

    expect(found).toBe(2_500);
  });

  it("ends a listing that nobody reads to its end", async () => {
    let ended = false;
    const inner: Storage = {
      ...memoryStorage(),
      async *list() {
        try {
          for (let n = 0; ; n++) yield { key: `object-${n}`, sizeBytes: 0, modifiedAt: new Date(0) };
        } finally {
          ended = true;
        }
      },
    };

    for await (const _ of limited(inner, 1).list("")) break;

    expect(ended).toBe(true);
  });
});
