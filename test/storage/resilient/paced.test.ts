import { randomBytes } from "node:crypto";
import { describe, expect, it } from "vitest";
import { pacedDownloads } from "../../../src/storage/resilient/paced-downloads.ts";
import { pacedUploads } from "../../../src/storage/resilient/paced-uploads.ts";
import { fakeRun } from "../../helpers/fake-run.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { memoryStorage } from "../../helpers/memory-storage.ts";

const MB = 1_000_000;

describe("limit_upload", () => {
  it("lets no more through on average, of all puts together", async () => {
    const run = fakeRun();
    const storage = pacedUploads(memoryStorage(), 2 * MB, run);
    const startedMs = run.clock.monotonicMs();

    await Promise.all(Array.from({ length: 11 }, (_, n) => storage.put(`object-${n}`, randomBytes(MB))));

    // The first begins at once.
    expect(run.clock.monotonicMs() - startedMs).toBe(5_000);
  });

  it("saves up nothing while nothing is put", async () => {
    const run = fakeRun();
    const storage = pacedUploads(memoryStorage(), MB, run);
    await storage.put("before", randomBytes(MB));
    await run.sleep(3_600_000);
    const startedMs = run.clock.monotonicMs();

    for (const key of ["a", "b", "c"]) await storage.put(key, randomBytes(MB));

    expect(run.clock.monotonicMs() - startedMs).toBe(2_000);
  });

  it("ends waiting with the call's signal", async () => {
    const run = fakeRun();
    const storage = pacedUploads(memoryStorage(), MB, run);
    await storage.put("before", randomBytes(MB));
    const controller = new AbortController();

    const waiting = storage.put("never", randomBytes(MB), { signal: controller.signal });
    controller.abort(new Error("stop"));

    await expect(waiting).rejects.toThrow("stop");
    expect(await storage.stat("never")).toBeUndefined();
  });
});

describe("limit_download", () => {
  it("reads in pieces of a second, byte for byte", async () => {
    const run = fakeRun();
    const inner = faultyStorage(memoryStorage());
    const bytes = randomBytes(5 * MB + 123);
    await inner.put("object", bytes);
    const storage = pacedDownloads(inner, MB, run);
    const startedMs = run.clock.monotonicMs();

    const read = await storage.get("object", { offset: 7, length: 5 * MB });

    expect(read?.equals(bytes.subarray(7, 7 + 5 * MB))).toBe(true);
    expect(inner.calls.filter(({ operation }) => operation === "get")).toHaveLength(5);
    expect(run.clock.monotonicMs() - startedMs).toBe(4_000);
  });

  it.each([
    [0, 0],
    [0, 10],
    [10, 100],
    [0, 3 * MB],
    [MB, MB],
    [2 * MB - 1, 5],
    [2 * MB, 5],
    [5 * MB, 5 * MB],
  ])("reads from %i, %i bytes, as without a limit", async (offset, length) => {
    const inner = memoryStorage();
    await inner.put("object", randomBytes(2 * MB));
    const storage = pacedDownloads(inner, MB, fakeRun());

    expect(await storage.get("object", { offset, length })).toEqual(await inner.get("object", { offset, length }));
    expect(await storage.get("nothing", { offset, length })).toBeUndefined();
  });

  it("counts what came, not what was asked for", async () => {
    const run = fakeRun();
    const inner = memoryStorage();
    await inner.put("small", Buffer.from("{}"));
    const storage = pacedDownloads(inner, MB, run);

    for (let n = 0; n < 100; n++) await storage.get("small", { offset: 0, length: 64 * MB });
    for (let n = 0; n < 100; n++) await storage.get("small");

    expect(run.slept.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(1);
  });
});
