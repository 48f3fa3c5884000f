import { randomBytes } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { StorageLimits } from "../../src/domain/storage-limits.ts";
import { systemClock, systemSleep } from "../../src/platform/clock.ts";
import { storageDefinitions } from "../../src/storage/registry.ts";
import { openResilient } from "../../src/storage/resilient/open.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type FaultProxy, startFaultProxy } from "../helpers/fault-proxy.ts";
import { NO_LIMITS } from "../helpers/no-limits.ts";
import { startSlowLine } from "../helpers/slow-line.ts";
import { requireOrSkip } from "../servers/requirements.ts";

/** A real server of one storage type, with logins and places. */
export interface StorageServer {
  readonly port: number;
  /** What may be nowhere but in the config: passwords, keys, tokens. */
  readonly secrets: readonly string[];
  /** Where the server may listen for further connections of the same client. */
  readonly dataPorts?: readonly number[];
  /** A new, empty place: `type` and options as a config has them, the server called at this address. */
  newPlace(): Promise<(address: Address) => PlaceOptions>;
  /** As kill -9; `start` brings it back on the same port with all that it had. */
  kill(): Promise<void>;
  start(): Promise<void>;
  stop(): Promise<void>;
}

export interface Address {
  readonly host: string;
  readonly port: number;
}

export interface PlaceOptions {
  readonly type: string;
  readonly [option: string]: unknown;
}

export interface NetworkSuite {
  readonly name: string;
  readonly start: () => Promise<StorageServer>;
  /** How long nobody listens. */
  readonly outageMs?: number;
  /** False where the server forgets what it acknowledged when it is killed, as an emulator may: two tests less. */
  readonly durable?: boolean;
}

const MIB = 1024 * 1024;
const STALL_MS = 2_000;
const SLOW_BYTES_PER_SECOND = 256 * 1024;

interface Opened {
  readonly storage: Storage;
  readonly proxy: FaultProxy;
  /** The same place without the line between. */
  readonly direct: Storage;
  /** Why each try after the first was made. */
  readonly retries: readonly string[];
}

/** What is promised of every storage that lies behind a network, whatever the network does. */
export function networkSuite({ name, start, outageMs = 3_000, durable = true }: NetworkSuite): void {
  describe(`${name} over a network:`, () => {
    let server: StorageServer;
    beforeAll(async () => {
      server = await start();
    });
    afterAll(() => server?.stop());

    async function open(limits: Partial<StorageLimits> = {}): Promise<Opened> {
      const proxy = await startFaultProxy(server.port, server.dataPorts);
      const place = await server.newPlace();
      const retries: string[] = [];
      const openAt = async (address: Address, onRetry: (why: string) => void) => {
        const storage = await openPlace(place(address), limits, onRetry);
        onTestFinished(() => storage.close());
        return storage;
      };
      onTestFinished(() => proxy.close());
      return {
        proxy,
        storage: await openAt(proxy, (why) => retries.push(why)),
        direct: await openAt({ host: "127.0.0.1", port: server.port }, () => undefined),
        retries,
      };
    }

    onBadLines(open);
    onLinesThatBreak(open);

    test.runIf(requireOrSkip("python3"))("a slow line is not cut: what moves does not stall", async () => {
      const place = await server.newPlace();
      const port = await startSlowLine(SLOW_BYTES_PER_SECOND, server.port);
      const retries: string[] = [];
      const storage = await openPlace(place({ host: "127.0.0.1", port }), {}, (why) => retries.push(why));
      onTestFinished(() => storage.close());
      const bytes = randomBytes(4 * MIB);

      await storage.put("backup/slow", bytes);
      const read = await storage.get("backup/slow", { offset: MIB, length: MIB });

      expect(read?.equals(bytes.subarray(MIB, 2 * MIB))).toBe(true);
      expect(retries).toEqual([]);
    });

    test(`a put survives that nobody listens for ${outageMs / 1000} s`, async () => {
      const { storage, proxy, direct } = await open();
      const objects = someObjects();
      await putAll(storage, objects.slice(0, 2));

      proxy.refuse();
      const putting = putAll(storage, objects);
      await sleep(outageMs);
      await proxy.accept();
      await putting;

      await expectAll(direct, objects);
      await expectAll(storage, objects);
    });

    if (durable) whenItIsKilled(open, () => server);
  });
}

type Open = (limits?: Partial<StorageLimits>) => Promise<Opened>;

function onBadLines(open: Open): void {
  test("a line with latency loses nothing", async () => {
    const { storage, proxy, retries } = await open();
    const objects = someObjects();
    proxy.line.latencyMs = 30;

    await putAll(storage, objects);

    await expectAll(storage, objects);
    expect(retries).toEqual([]);
  });
}

function onLinesThatBreak(open: Open): void {
  const faults = [
    ["breaks", "put", { kind: "reset", direction: "up", after: 2 * MIB }],
    ["breaks before the answer", "put", { kind: "reset", direction: "down", after: 0 }],
    ["breaks", "get", { kind: "reset", direction: "down", after: 2 * MIB }],
    ["stalls", "put", { kind: "stall", direction: "up", after: 2 * MIB }],
    ["stalls before the answer", "put", { kind: "stall", direction: "down", after: 0 }],
    ["stalls", "get", { kind: "stall", direction: "down", after: 2 * MIB }],
  ] as const;

  test.each(faults)("a line that %s in the middle of a %s is another try", async (_, call, fault) => {
    const { storage, proxy, direct, retries } = await open();
    const bytes = randomBytes(4 * MIB);
    const objects = someObjects();
    await putAll(storage, objects);
    if (call === "get") await direct.put("backup/broken", bytes);
    proxy.breakNext(fault);

    if (call === "put") await storage.put("backup/broken", bytes);
    else expect((await storage.get("backup/broken"))?.equals(bytes)).toBe(true);

    expect(proxy.broken).toBe(1);
    expect(retries).not.toEqual([]);
    await expectAll(direct, [...objects, ["backup/broken", bytes]]);
    await expectAll(storage, [...objects, ["backup/broken", bytes]]);
  });

  test.each(["reset", "stall"] as const)("a listing over a line that ends in a %s is complete", async (kind) => {
    const { storage, proxy, direct } = await open();
    const keys = Array.from({ length: 200 }, (_, n) => `backup/folder-${n % 5}/object-${n}`);
    await Promise.all(keys.map((key) => direct.put(key, Buffer.from(key))));
    proxy.breakNext({ kind, direction: "down", after: 500 });

    expect(await keysOf(storage)).toEqual(keys.toSorted());

    expect(proxy.broken).toBe(1);
  });

  test("connections that were lost while nobody used them harm nothing", async () => {
    const { storage, proxy } = await open();
    const objects = someObjects();
    await putAll(storage, objects);

    proxy.dropAll();

    await expectAll(storage, objects);
  });
}

function whenItIsKilled(open: Open, server: () => StorageServer): void {
  test("an object whose server is killed in the middle of its put is whole or not there, and can be put again", async () => {
    const { storage, proxy } = await open({ retryForMs: 0 });
    const bytes = randomBytes(4 * MIB);
    proxy.line.bytesPerSecond = 8 * MIB;
    const failed = storage.put("backup/killed", bytes).catch((error: unknown) => error);

    await movedUp(proxy, 2 * MIB);
    await server().kill();

    expect(await failed).toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    await server().start();
    proxy.line.bytesPerSecond = 0;
    const there = await eventually(() => storage.get("backup/killed"));
    expect(there === undefined || there.equals(bytes)).toBe(true);
    expect(await keysOf(storage)).toEqual(there === undefined ? [] : ["backup/killed"]);
    await storage.put("backup/killed", bytes);
    expect((await storage.get("backup/killed"))?.equals(bytes)).toBe(true);
  });

  test("a put outlives its server, which is started again", async () => {
    const { storage, proxy } = await open();
    const objects = someObjects();
    proxy.line.bytesPerSecond = 8 * MIB;
    const putting = putAll(storage, objects);

    await movedUp(proxy, 2 * MIB);
    await server().kill();
    await server().start();
    proxy.line.bytesPerSecond = 0;
    await putting;

    await expectAll(storage, objects);
  });
}

function openPlace({ type, ...options }: PlaceOptions, limits: Partial<StorageLimits>, onRetry: (why: string) => void) {
  const definition = storageDefinitions[type];
  if (definition === undefined) throw new Error(`there is no storage type ${type}`);
  const silent = (): void => undefined;
  return openResilient({
    name: "site",
    limits: { ...NO_LIMITS, retryForMs: 120_000, stallTimeoutMs: STALL_MS, concurrency: 4, ...limits },
    run: {
      clock: systemClock,
      sleep: systemSleep,
      // Short waits: the tests have other things to wait for.
      random: () => 0.1,
      logger: { debug: onRetry, info: silent, warn: silent, error: silent },
      signal: new AbortController().signal,
    },
    open: (context) => definition.open(options, { ...context, create: true }),
  });
}

type Objects = readonly (readonly [string, Buffer])[];

function someObjects(): Objects {
  const sizes = [0, 1, 1_000, 300_000, 4 * MIB];
  return sizes.map((size) => [`backup/object-${size}`, randomBytes(size)] as const);
}

async function putAll(storage: Storage, objects: Objects): Promise<void> {
  await Promise.all(objects.map(([key, bytes]) => storage.put(key, bytes)));
}

/** The place holds these, byte for byte, and nothing else. */
async function expectAll(storage: Storage, objects: Objects): Promise<void> {
  expect(await keysOf(storage)).toEqual(objects.map(([key]) => key).toSorted());
  for (const [key, bytes] of objects) expect((await storage.get(key))?.equals(bytes), key).toBe(true);
}

async function keysOf(storage: Storage): Promise<string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list("")) keys.push(key);
  return keys.toSorted();
}

async function movedUp(proxy: FaultProxy, bytes: number): Promise<void> {
  const before = proxy.moved.up;
  while (proxy.moved.up < before + bytes) await sleep(5);
}

/** A server that was started again may need a moment to answer as it did. */
async function eventually<T>(call: () => Promise<T>): Promise<T> {
  for (const deadlineMs = performance.now() + 20_000; ; await sleep(200)) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > deadlineMs) throw error;
    }
  }
}
