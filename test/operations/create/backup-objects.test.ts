import { createHash } from "node:crypto";
import { setImmediate as turn } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { BackupObjects } from "../../../src/operations/create/backup-objects.ts";
import type { Storage } from "../../../src/storage/storage.ts";
import { type FaultyStorage, faultyStorage } from "../../helpers/faulty-storage.ts";
import { type MemoryObjects, memoryStorage } from "../../helpers/memory-storage.ts";

const away = new BackupctlError("STORAGE_FAILED", "the line is cut", { retryable: true });
const DIRECTORY = "full/daily/2026-01-01/full-00-00-00-11111111";

function make(storages: readonly Storage[], signal = new AbortController().signal) {
  const warnings: string[] = [];
  const objects = new BackupObjects(DIRECTORY, storages, { warn: (message) => void warnings.push(message), signal });
  return { objects, warnings };
}

function faulty(name: string): FaultyStorage & { readonly objects: MemoryObjects } {
  const inner = memoryStorage({ name });
  return Object.assign(faultyStorage(inner), { objects: inner.objects });
}

function packBytes(n: number): Buffer {
  return Buffer.alloc(1000, n + 1);
}

function packName(n: number): string {
  return `www.tree.zst.${String(n).padStart(8, "0")}`;
}

async function putPacks(objects: BackupObjects, count: number): Promise<void> {
  for (let n = 0; n < count; n++) await objects.put(packName(n), packBytes(n));
}

const namesIn = ({ objects }: { readonly objects: MemoryObjects }) =>
  [...objects.keys()].map((key) => key.slice(DIRECTORY.length + 1)).sort();

/** Its puts are answered when `answer` is called, or aborted. */
function slow(name: string): Storage & { readonly objects: MemoryObjects; answer(): void } {
  const inner = memoryStorage({ name });
  const waiting: (() => void)[] = [];
  return {
    ...inner,
    put: async (key, bytes, options) => {
      await new Promise<void>((resolve, reject) => {
        waiting.push(resolve);
        options?.signal?.addEventListener("abort", () => reject(options.signal?.reason), { once: true });
      });
      return inner.put(key, bytes, options);
    },
    answer: () => {
      for (const go of waiting.splice(0)) go();
    },
  };
}

describe("a backup on its way to several storages", () => {
  it("lies in each of them in the end, metadata.json last", async () => {
    const storages = ["a", "b", "c"].map(faulty);
    const { objects } = make(storages);

    await putPacks(objects, 3);
    await objects.put("SHA256SUMS", Buffer.from("sums"));
    await objects.requireComplete();
    await objects.commit(Buffer.from("{}"));

    for (const storage of storages) {
      expect(namesIn(storage)).toHaveLength(5);
      expect(storage.calls.filter(({ operation }) => operation === "put").at(-1)?.key).toMatch(/metadata\.json$/);
    }
    expect(objects.givenUp.size).toBe(0);
  });

  it("does not wait for a replica that is a few objects behind, and has it catch up at the end", async () => {
    const replica = slow("replica");
    const { objects } = make([memoryStorage({ name: "primary" }), replica]);

    await putPacks(objects, 2);
    expect(namesIn(replica)).toEqual([]);
    replica.answer();
    await objects.requireComplete();
    const committing = objects.commit(Buffer.from("{}"));
    for (let i = 0; i < 20; i++) {
      await turn();
      replica.answer();
    }
    await committing;

    expect(namesIn(replica)).toEqual([...[0, 1].map(packName), "metadata.json"].sort());
    expect(objects.storages.map(({ name }) => name)).toEqual(["primary", "replica"]);
  });

  it("gives up one that is further behind: its puts are aborted, and it holds no memory any longer", async () => {
    const primary = memoryStorage({ name: "primary" });
    const { objects } = make([primary, slow("replica")]);
    let held = 0;
    const memory = { hold: () => void held++, release: () => void held-- };
    const most: number[] = [];

    for (let n = 0; n < 10; n++) {
      await objects.put(packName(n), packBytes(n), sha256(packBytes(n)), memory);
      most.push(held);
    }
    await turn();

    expect(namesIn(primary)).toHaveLength(10);
    expect(Math.max(...most)).toBeLessThanOrEqual(3);
    expect(held).toBe(0);
    expect([...objects.givenUp.values()]).toMatchObject([{ message: expect.stringMatching(/fell \d objects behind/) }]);
  });

  it("gives up a replica that tries again, but not the primary", async () => {
    const retrying = (inner: Storage): Storage => ({
      ...inner,
      put: async (key, bytes, options) => {
        options?.onRetry?.({ error: away, waitMs: 1 });
        return inner.put(key, bytes, options);
      },
    });
    const { objects } = make(["primary", "replica"].map((name) => retrying(memoryStorage({ name }))));

    await putPacks(objects, 2);

    expect(objects.storages.map(({ name }) => name)).toEqual(["primary"]);
    expect([...objects.givenUp.values()]).toMatchObject([{ message: "the line is cut" }]);
  });

  it.each([1, 3])("goes on in the replica that has all when the primary fails at object %s", async (n) => {
    const [primary, replica] = [faulty("primary"), faulty("replica")];
    primary.onCall("put", n).fail(away);
    const { objects, warnings } = make([primary, replica]);

    await putPacks(objects, 4);
    await objects.requireComplete();
    await objects.commit(Buffer.from("{}"));

    expect(namesIn(replica)).toHaveLength(5);
    expect(namesIn(primary)).not.toContain("metadata.json");
    expect(objects.lead.name).toBe("replica");
    expect(warnings).toEqual([expect.stringContaining('the backup goes on in "replica"')]);
  });

  it("goes on in the replica when the primary does not list what it took, or does not take metadata.json", async () => {
    const [first, second, third] = [faulty("a"), faulty("b"), faulty("c")];
    first.onCall("list", 1).fail(away);
    second.onKey("put", /metadata\.json$/).fail(away);
    const { objects } = make([first, second, third]);

    await putPacks(objects, 1);
    await objects.requireComplete();
    await objects.commit(Buffer.from("{}"));

    expect(objects.storages.map(({ name }) => name)).toEqual(["c"]);
  });

  it("fails with what the primary said when no storage has all", async () => {
    const [primary, replica] = [faulty("primary"), faulty("replica")];
    primary.onCall("put", 3).fail(new BackupctlError("INSUFFICIENT_STORAGE", "the disk is full"));
    replica.onCall("put", 2).fail(away);
    const { objects } = make([primary, replica]);

    await expect(putPacks(objects, 4)).rejects.toMatchObject({ code: "INSUFFICIENT_STORAGE" });
  });

  it("does not go on elsewhere after a mistake of the program", async () => {
    const [primary, replica] = [faulty("primary"), faulty("replica")];
    primary.onCall("put", 1).fail(new TypeError("undefined is not a function"));
    const { objects } = make([primary, replica]);

    await expect(putPacks(objects, 1)).rejects.toThrow(TypeError);
  });

  it("ends with the reason of an interruption, and removes what it had put", async () => {
    const interruption = new AbortController();
    const [primary, replica] = [faulty("primary"), faulty("replica")];
    primary.onCall("put", 3).hang();
    const { objects } = make([primary, replica], interruption.signal);

    const putting = putPacks(objects, 5);
    setTimeout(() => interruption.abort(new BackupctlError("INTERRUPTED", "interrupted")), 20);

    await expect(putting).rejects.toMatchObject({ code: "INTERRUPTED" });
    await objects.discard();
    expect(namesIn(primary)).toEqual([]);
  });

  it("is discarded without waiting for what a replica is slow at", async () => {
    const [primary, replica] = [memoryStorage({ name: "primary" }), slow("replica")];
    const { objects } = make([primary, replica]);

    await putPacks(objects, 2);
    await objects.discard();

    expect(namesIn(primary)).toEqual([]);
    expect([...objects.givenUp.keys()].map(({ name }) => name)).toEqual(["replica"]);
  });

  it("removes a failed source's objects where it goes on, and gives up a replica that does not let it", async () => {
    const [primary, replica] = [faulty("primary"), faulty("replica")];
    replica.onCall("remove", 1).fail(away);
    const { objects } = make([primary, replica]);

    await putPacks(objects, 2);
    await objects.takeBack("www.", 1000);

    expect(namesIn(primary)).toEqual([]);
    expect([...objects.givenUp.keys()].map(({ name }) => name)).toEqual(["replica"]);
    expect(objects.count).toBe(0);
  });

  it("takes back what a source is begun anew for, and does not wait long for a replica that is slow", async () => {
    const [primary, prompt] = [faulty("primary"), faulty("prompt")];
    const { objects } = make([primary, prompt, slow("slow")]);

    await putPacks(objects, 1);
    await objects.takeBack("www.", 20);
    await objects.put(packName(0), packBytes(7));

    expect(objects.storages.map(({ name }) => name)).toEqual(["primary", "prompt"]);
    for (const { objects: there } of [primary, prompt])
      expect(there.get(`${DIRECTORY}/${packName(0)}`)?.bytes.equals(packBytes(7))).toBe(true);
    expect([...objects.givenUp.values()]).toMatchObject([{ message: "it does not answer for 0.02 seconds" }]);
  });

  it("leaves what storages don't let go of, and gives up a replica only where that fails", async () => {
    const [primary, refusing, failing] = [faulty("primary"), faulty("refusing"), faulty("failing")];
    const denied = new BackupctlError("STORAGE_DENIED", "it permits no delete");
    refusing.onCall("remove", "every").fail(denied);
    failing.onCall("remove", 1).fail(away);
    const { objects } = make([primary, refusing, failing]);

    await putPacks(objects, 2);
    const reasons: BackupctlError[] = [];
    await objects.leaveOut(
      (name) => name.startsWith("www."),
      (reason) => void reasons.push(reason),
    );
    await objects.put("SHA256SUMS", Buffer.from("sums"));
    await objects.commit(Buffer.from("{}"));

    expect(reasons).toEqual([denied]);
    expect(objects.count).toBe(2);
    expect(objects.storages.map(({ name }) => name)).toEqual(["primary", "refusing"]);
    expect(namesIn(primary)).toEqual(["SHA256SUMS", "metadata.json"]);
    expect(namesIn(refusing)).toEqual(["SHA256SUMS", "metadata.json", packName(0), packName(1)]);
  });

  it("is whole in the primary before a slow replica has let go of what was left out", async () => {
    const [primary, replica] = [memoryStorage({ name: "primary" }), slow("replica")];
    const { objects } = make([primary, replica]);

    await objects.put("trial", Buffer.from("trial"));
    await objects.leaveOut((name) => name === "trial");
    await objects.put("SHA256SUMS", Buffer.from("sums"));
    await objects.requireComplete();
    const committing = objects.commit(Buffer.from("{}"));
    await turn();

    expect(namesIn(primary)).toEqual(["SHA256SUMS", "metadata.json"]);
    expect(namesIn(replica)).toEqual([]);
    for (let i = 0; i < 20; i++) {
      replica.answer();
      await turn();
    }
    await committing;
    expect(namesIn(replica)).toEqual(["SHA256SUMS", "metadata.json"]);
  });

  it("waits for all to have begun, but not for long, and says which have not", { timeout: 10_000 }, async () => {
    const failing = faulty("failing");
    failing.onCall("put", 1).fail(away);
    const { objects, warnings } = make([memoryStorage({ name: "primary" }), failing, slow("slow")]);

    await putPacks(objects, 1);
    await objects.waitForOthers(20);

    expect(objects.storages.map(({ name }) => name)).toEqual(["primary"]);
    expect(warnings).toEqual([
      'storage "failing" takes no part in this run: the line is cut',
      'storage "slow" takes no part in this run: it does not answer for 0.02 seconds',
    ]);
  });
});

describe("an object that comes out wrong", () => {
  it.each([
    ["cut", (bytes: Buffer) => bytes.subarray(1), /has 999 bytes after its put, not 1000/],
    ["changed", (bytes: Buffer) => Buffer.from(bytes).fill(7, 0, 1), /has the SHA-256 [0-9a-f]{64} after its put/],
  ])("%s is put again, with a warning", async (_, change, message) => {
    const storage = faulty("primary");
    storage.onCall("put", 1).corrupt(change);
    const { objects, warnings } = make([storage]);

    await putPacks(objects, 1);

    expect(storage.objects.get(`${DIRECTORY}/${packName(0)}`)?.bytes.equals(packBytes(0))).toBe(true);
    expect(warnings).toEqual([expect.stringMatching(message)]);
  });

  it("every time fails after three more tries, and leaves nothing", async () => {
    const storage = faulty("primary");
    storage.onCall("put", "every").corrupt((bytes) => bytes.subarray(1));
    const { objects, warnings } = make([storage]);

    await expect(putPacks(objects, 1)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringContaining("4 times"),
    });
    expect(warnings).toHaveLength(3);
    expect(namesIn(storage)).toEqual([]);
  });
});

function sha256(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
