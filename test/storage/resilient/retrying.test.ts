import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { attemptsFor } from "../../../src/storage/resilient/attempts.ts";
import { retrying } from "../../../src/storage/resilient/retrying.ts";
import type { Retry, Storage, StoredObject } from "../../../src/storage/storage.ts";
import { type FakeRun, fakeRun } from "../../helpers/fake-run.ts";
import { type FaultyStorage, faultyStorage } from "../../helpers/faulty-storage.ts";
import { memoryStorage } from "../../helpers/memory-storage.ts";

const MINUTE_MS = 60_000;
const reset = new BackupctlError("STORAGE_FAILED", 'storage "memory" cannot be reached: connection reset', {
  retryable: true,
});
const denied = new BackupctlError("STORAGE_DENIED", 'storage "memory" refuses the login');

function over(inner: Storage, run: FakeRun, forMs = 5 * MINUTE_MS): Storage {
  return retrying(inner, attemptsFor("memory", forMs, run));
}

/** A storage that does not answer until `clock` shows this time. */
function awayUntil(run: FakeRun, untilMs: number): FaultyStorage {
  const away = () => {
    if (run.clock.monotonicMs() < untilMs) throw reset;
  };
  return faultyStorage(memoryStorage())
    .onCall("put", "every")
    .meanwhile(away)
    .onCall("get", "every")
    .meanwhile(away)
    .onCall("stat", "every")
    .meanwhile(away)
    .onCall("remove", "every")
    .meanwhile(away)
    .onCall("space", "every")
    .meanwhile(away)
    .onCall("list", "every")
    .meanwhile(away);
}

async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list("")) keys.push(key);
  return keys;
}

describe("a call that may succeed later", () => {
  it("is tried again until it does, of every kind", async () => {
    const run = fakeRun();
    const inner = awayUntil(run, 2 * MINUTE_MS);
    const storage = over(inner, run);

    await Promise.all([
      storage.put("a", Buffer.from("bytes")),
      storage.get("b"),
      storage.stat("c"),
      storage.remove("d"),
      storage.space(),
      keysOf(storage),
    ]);

    expect((await storage.get("a"))?.toString()).toBe("bytes");
    expect(new Set(inner.calls.map(({ operation }) => operation)).size).toBe(6);
    expect(run.clock.monotonicMs()).toBeGreaterThanOrEqual(2 * MINUTE_MS);
  });

  it("waits twice as long each time, up to half a minute, a random part of it", async () => {
    const run = fakeRun(() => 0.5);
    const inner = faultyStorage(memoryStorage());
    for (let n = 1; n <= 9; n++) inner.onCall("get", n).fail(reset);

    await over(inner, run).get("a");

    expect(run.slept).toEqual([250, 500, 1000, 2000, 4000, 8000, 15_000, 15_000, 15_000]);
  });

  it("tells who asked for it before each wait", async () => {
    const inner = faultyStorage(memoryStorage()).onCall("get", 1).fail(reset).onCall("get", 2).fail(reset);
    const retries: Retry[] = [];

    await over(inner, fakeRun()).get("a", undefined, { onRetry: (retry) => retries.push(retry) });

    expect(retries).toEqual([
      { error: reset, waitMs: 250 },
      { error: reset, waitMs: 500 },
    ]);
  });

  it("has taken effect already, and is none the worse for it", async () => {
    const inner = faultyStorage(memoryStorage()).onCall("put", 1).failAfterVisible(reset);
    inner.onCall("remove", 1).failAfterVisible(reset);
    const storage = over(inner, fakeRun());

    await storage.put("a", Buffer.from("bytes"));
    expect((await storage.get("a"))?.toString()).toBe("bytes");
    await storage.remove("a");
    expect(await storage.stat("a")).toBeUndefined();
  });

  it("fails when it was tried for as long as is wanted, and says how long and how often that was", async () => {
    const run = fakeRun();
    const startedMs = run.clock.monotonicMs();
    const inner = faultyStorage(memoryStorage()).onCall("get", "every").fail(reset);

    const failure = await over(inner, run)
      .get("a")
      .catch((error: unknown) => error);

    expect(run.clock.monotonicMs() - startedMs).toBe(5 * MINUTE_MS);
    expect(failure).toMatchObject({
      code: "STORAGE_FAILED",
      message: `${reset.message} (tried ${inner.calls.length} times in 5 minutes)`,
      hint: expect.stringContaining("retry_for"),
      cause: reset,
      retryable: true,
    });
  });
});

describe("a call that can't succeed later", () => {
  it.each([
    ["is not retryable", denied],
    ["is a bug", new TypeError("undefined is not a function")],
  ])("fails at once: its error %s", async (_, error) => {
    const run = fakeRun();
    const inner = faultyStorage(memoryStorage()).onCall("get", "every").fail(error);

    await expect(over(inner, run).get("a")).rejects.toBe(error);

    expect(inner.calls).toHaveLength(1);
    expect(run.told).toEqual([]);
  });

  it("fails at once where nothing is to be tried again", async () => {
    const run = fakeRun();
    const inner = faultyStorage(memoryStorage()).onCall("get", "every").fail(reset);

    await expect(over(inner, run, 0).get("a")).rejects.toBe(reset);

    expect(run.told).toEqual([]);
  });
});

describe("an outage", () => {
  it("is told once, however many calls wait, and once more when it is over", async () => {
    const run = fakeRun();
    const storage = over(awayUntil(run, 2 * MINUTE_MS), run);

    await Promise.all(Array.from({ length: 20 }, (_, n) => storage.put(`object-${n}`, Buffer.from("x"))));

    expect(run.told).toEqual([
      `warning: ${reset.message}; trying again for up to 5 minutes`,
      expect.stringMatching(/^info: storage "memory" answers again after \d+ (seconds|minutes)$/),
    ]);
  });

  it("that the caller won't wait for is not told: nothing is tried again", async () => {
    const run = fakeRun();
    const storage = over(faultyStorage(memoryStorage()).onCall("put", "every").fail(reset), run);
    const impatient = new AbortController();

    const put = storage.put("a", Buffer.from("x"), {
      signal: impatient.signal,
      onRetry: ({ error }) => impatient.abort(error),
    });

    await expect(put).rejects.toBe(reset);
    expect(run.told).toEqual([]);
  });

  it("that is another one is told again", async () => {
    const run = fakeRun();
    const storage = over(faultyStorage(memoryStorage()).onCall("get", 1).fail(reset).onCall("get", 3).fail(reset), run);

    await storage.get("a");
    await storage.get("a");

    expect(run.told.map((line) => line.split(":")[0])).toEqual(["warning", "info", "warning", "info"]);
  });

  it("that was waited for in vain keeps no other call waiting until the storage answers again", async () => {
    const run = fakeRun();
    const LAST = 150;
    const inner = faultyStorage(memoryStorage());
    for (let n = 1; n <= LAST; n++) inner.onCall("get", n).fail(reset);
    const storage = over(inner, run);
    const gone = await Promise.allSettled([storage.get("a"), storage.get("b"), storage.get("c")]);
    const tries = inner.calls.length;
    const beforeMs = run.clock.monotonicMs();

    for (let n = tries; n < LAST; n++) await expect(storage.get("d")).rejects.toBe(reset);
    await storage.get("d");
    inner.onCall("get", LAST + 2).fail(reset);
    await storage.get("e");

    expect(gone.map(({ status }) => status)).toEqual(["rejected", "rejected", "rejected"]);
    expect(run.clock.monotonicMs() - beforeMs).toBe(250);
    expect(run.told).toHaveLength(3);
  });
});

describe("a listing that breaks off", () => {
  /** Lists other places first each time, and breaks off after so many objects. */
  function breakingOff(inner: Storage, after: readonly number[]): Storage {
    let round = 0;
    return {
      ...inner,
      async *list(prefix, options) {
        const most = after[round++] ?? Number.POSITIVE_INFINITY;
        const all: StoredObject[] = [];
        for await (const object of inner.list(prefix, options)) all.push(object);
        if (round % 2 === 0) all.reverse();
        for (const [n, object] of all.entries()) {
          if (n >= most) throw reset;
          yield object;
        }
        if (most <= all.length) throw reset;
      },
    };
  }

  it.each([[[0, 3, 7, 10]], [[10, 10]], [[1, 1, 1, 1, 9]]])(
    "tells each object once and misses none: %j",
    async (after) => {
      const inner = memoryStorage();
      const keys = Array.from({ length: 10 }, (_, n) => `object-${n}`);
      for (const key of keys) await inner.put(key, Buffer.from("x"));

      const found = await keysOf(over(breakingOff(inner, after), fakeRun()));

      expect(found.toSorted()).toEqual(keys);
    },
  );

  it("may take longer than one call is tried, as long as it comes on", async () => {
    const run = fakeRun(() => 1);
    const inner = memoryStorage();
    for (let n = 0; n < 40; n++) await inner.put(`object-${n}`, Buffer.from("x"));

    const found = await keysOf(
      over(
        breakingOff(
          inner,
          Array.from({ length: 20 }, (_, n) => n + 1),
        ),
        run,
        1_000,
      ),
    );

    expect(found).toHaveLength(40);
  });

  it("is no listing when it never ends", async () => {
    const inner = memoryStorage();
    await inner.put("a", Buffer.from("x"));

    await expect(keysOf(over(breakingOff(inner, Array(100).fill(1)), fakeRun()))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringMatching(/tried \d+ times in 5 minutes/),
    });
  });
});

describe("a wait for another try", () => {
  const stop = new Error("stop");

  it("ends with the call's own signal", async () => {
    const controller = new AbortController();
    const inner = faultyStorage(memoryStorage()).onCall("get", "every").fail(reset);
    const options = { signal: controller.signal, onRetry: () => controller.abort(stop) };

    await expect(over(inner, fakeRun()).get("a", undefined, options)).rejects.toBe(stop);

    expect(inner.calls).toHaveLength(1);
  });

  it("ends with the run, of calls without a signal too", async () => {
    const run = fakeRun();
    const inner = faultyStorage(memoryStorage()).onCall("put", "every").fail(reset);

    await expect(over(inner, run).put("a", Buffer.from("x"), { onRetry: () => run.abort(stop) })).rejects.toBe(stop);

    expect(inner.calls).toHaveLength(1);
  });

  it("is not for who clears up after the run was aborted", async () => {
    const run = fakeRun();
    const inner = faultyStorage(memoryStorage()).onCall("remove", "every").fail(reset);
    run.abort(stop);

    await expect(over(inner, run).remove("a")).rejects.toBe(reset);

    expect(run.slept).toEqual([]);
  });
});
