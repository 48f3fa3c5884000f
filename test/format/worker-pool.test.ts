import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { cachedDataVersionTag } from "node:v8";
import { expect, onTestFinished, test } from "vitest";
import { BLOCK_HEADER_BYTES, DamageError, sealBlock, TAG_BYTES } from "../../src/format/block.ts";
import { HASH_BYTES, sha256 } from "../../src/format/workers/hashing.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import type { OpenBlocksTask, ScanTask, WriteBlockTask } from "../../src/format/workers/tasks.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const POOL = pathToFileURL(join(import.meta.dirname, "../../src/format/workers/pool.ts")).href;

function openPool(): WorkerPool {
  const pool = new WorkerPool(2);
  onTestFinished(async () => pool.close());
  return pool;
}

function scanOf(bytes: number): ScanTask {
  return {
    kind: "scan",
    buffer: new SharedArrayBuffer(bytes),
    start: 0,
    end: bytes,
    position: 0,
    chunks: "data",
    final: true,
  };
}

const damaged: OpenBlocksTask = {
  kind: "open-block",
  block: new Uint8Array(40),
  offset: 28,
  seal: { header: new Uint8Array(28), backupId: new Uint8Array(16), packNumber: 0, key: undefined },
  compression: "none",
  spans: new Uint32Array(),
  hashes: new Uint8Array(),
};

/** Writes the two halves of the bytes to a file, the second first. */
function writeTask(root: string, bytes: Buffer): WriteBlockTask {
  const { seal } = damaged;
  const stored = Buffer.alloc(BLOCK_HEADER_BYTES + bytes.length + TAG_BYTES);
  sealBlock(seal, stored, 0, bytes, { storedLength: bytes.length + TAG_BYTES, rawLength: bytes.length, flags: 0 });
  const spans = Uint32Array.of(0, bytes.length);
  const metadata = { mode: 0o640, uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0, mtimeNs: 0n };
  const file = {
    name: Buffer.from("d/file"),
    size: bytes.length,
    metadata,
    spans: [
      [3, 3],
      [0, 3],
    ] as const,
  };
  const tree = { root, access: `${root}/`, policy: { overwrite: false, isPrivate: true }, bare: true };
  const contents = { tree, files: [file], parts: [] };
  return { ...damaged, kind: "write-block", block: stored, offset: 0, spans, hashes: sha256(bytes), contents };
}

test("V8's flags, without which it takes no code compiled before, are as they were while threads come up and once they have ended", async () => {
  const before = cachedDataVersionTag();
  const pool = openPool();
  const first = pool.run(scanOf(100));
  const whileStarting = cachedDataVersionTag();
  await first;
  const meanwhile = cachedDataVersionTag();
  const many = Array.from({ length: 6 }, () => pool.run(scanOf(100)));
  const whileSecondStarts = cachedDataVersionTag();
  await Promise.all(many);
  await pool.close();

  expect({ whileStarting, whileSecondStarts }).toEqual({ whileStarting: before, whileSecondStarts: before });
  expect(cachedDataVersionTag()).toBe(before);
  expect(meanwhile).not.toBe(before);
});

test("many tasks at once all get their own result", async () => {
  const pool = openPool();
  const sizes = Array.from({ length: 50 }, (_, i) => 1000 * i);

  const results = await Promise.all(sizes.map((size) => pool.run(scanOf(size))));

  expect(results.map(({ consumed }) => consumed)).toEqual(sizes);
});

test("one task after another is done by one thread; more come when tasks wait", async () => {
  const pool = new WorkerPool(4);
  onTestFinished(async () => pool.close());
  const threads = (): number => readdirSync("/proc/self/task").length;

  for (let i = 0; i < 5; i++) await pool.run(scanOf(1000));
  const few = threads();
  await Promise.all(Array.from({ length: 20 }, () => pool.run(scanOf(1_000_000))));

  expect(threads()).toBeGreaterThanOrEqual(few + 3);
});

test("damage that a worker finds is a DamageError here", async () => {
  await expect(openPool().run(damaged)).rejects.toThrow(DamageError);
});

test("a block is written to files by the worker that opens it, none of it where a chunk is wrong", async () => {
  const root = tempDir();
  const task = writeTask(root, Buffer.from("onetwo"));
  const wrong = { ...task, hashes: new Uint8Array(HASH_BYTES) };

  await expect(openPool().run(wrong)).rejects.toThrow(DamageError);
  expect(readdirSync(root)).toEqual([]);
  await expect(openPool().run(task)).resolves.toMatchObject({ owners: 0, attributes: 0 });

  expect(readFileSync(join(root, "d/file"), "utf8")).toBe("twoone");
  expect(statSync(join(root, "d/file")).mode & 0o7777).toBe(0o640);
});

test("what a worker can't write is refused here as it was there", async () => {
  const root = tempDir();
  const task = writeTask(root, Buffer.from("onetwo"));
  const pool = openPool();
  await pool.run(task);

  await expect(pool.run(task)).rejects.toMatchObject({
    code: "TARGET_NOT_EMPTY",
    hint: expect.stringContaining("--to"),
  });
  await expect(pool.run(writeTask(join(root, "missing"), Buffer.from("onetwo")))).rejects.toMatchObject({
    code: "ENOENT",
  });
});

test("a task that fails with a bug rejects and leaves the worker at work", async () => {
  const pool = openPool();
  const block = new Uint8Array([0, 0, 0, 16, 0, 0, 0, 0, 0, 0, 0, 1, ...new Uint8Array(16)]);
  const wrong = { ...damaged, block, seal: { ...damaged.seal, key: new Uint8Array(5) } };

  await expect(pool.run(wrong)).rejects.toThrow("a worker thread failed");
  await expect(pool.run(scanOf(10))).resolves.toMatchObject({ consumed: 10 });
});

test("a thread that runs out of memory ends them all, and each task says so", async () => {
  const pool = new WorkerPool(2);
  const expected = { size: 0, mtimeNs: 0n, ctimeNs: 0n, inode: 0n };
  const file = { name: Buffer.from("no/such/file"), offset: 0, capacity: 0, wantsAttributes: false, expected };
  const files = Array.from({ length: 200_000 }, (_, inode) => ({
    ...file,
    expected: { ...expected, inode: BigInt(inode) },
  }));

  const tooMuch = pool.run({ kind: "read-files", buffer: new SharedArrayBuffer(1), files });

  await expect(tooMuch).rejects.toThrow("memory limit");
  await expect(pool.run(scanOf(10))).rejects.toThrow("memory limit");
});

test("a closed pool rejects what was under way and what comes after", async () => {
  const pool = new WorkerPool(2);
  const underWay = Promise.allSettled(Array.from({ length: 20 }, () => pool.run(scanOf(2_000_000))));

  await pool.close();

  expect((await underWay).filter(({ status }) => status === "rejected").length).toBeGreaterThan(0);
  await expect(pool.run(scanOf(10))).rejects.toThrow("closed");
});

test("who waits is let go of only when no thread works any more", async () => {
  const threads = (): number => readdirSync("/proc/self/task").length;
  const before = threads();
  const pool = new WorkerPool(2);
  const waiting = Array.from({ length: 20 }, () => pool.run(scanOf(2_000_000)));
  const seen = waiting.map((task) =>
    task.then(
      () => before,
      () => threads(),
    ),
  );

  await pool.close();

  expect(Math.max(...(await Promise.all(seen)))).toBeLessThanOrEqual(before);
});

/** A file of the kernel's, which says that it has a page, and gives the few bytes that there are. */
const SHORT = "/sys/kernel/uevent_seqnum";

test("a small file that gives other bytes than it says is read twice, and said to have changed", async () => {
  const { size, mtimeNs, ctimeNs, ino: inode } = statSync(SHORT, { bigint: true });
  const capacity = Number(size);
  const file = { name: Buffer.from(SHORT.slice(1)), offset: 0, capacity, wantsAttributes: false };
  const buffer = new SharedArrayBuffer(capacity);

  const { files, lengths } = await openPool().run({
    kind: "read-files",
    buffer,
    files: [{ ...file, expected: { size: capacity, mtimeNs, ctimeNs, inode } }],
  });

  const [read] = files;
  expect(read).toMatchObject({ changed: true, grown: false, chunkCount: 1, state: { size: read?.bytesRead } });
  expect([...lengths]).toEqual([read?.bytesRead]);
  expect(read?.bytesRead).toBeLessThan(capacity);
});

test.each([
  ["nothing", ""],
  ["a task done", "await task();"],
  ["tasks under way", "for (let i = 0; i < 20; i++) task().catch(() => undefined);"],
  ["a task done and others under way", "task().catch(() => undefined); await task();"],
])("a script that closes its pool after %s goes on and ends by itself", (_, before) => {
  const file = join(tempDir(), "script.mjs");
  const scan = `{ kind: "scan", buffer: new SharedArrayBuffer(4e6), start: 0, end: 4e6, position: 0, chunks: "data", final: true }`;
  const script = `import { WorkerPool } from "${POOL}"; const pool = new WorkerPool(4); const task = () => pool.run(${scan});`;
  writeFileSync(file, `${script} ${before} await pool.close(); process.stdout.write("closed");`);

  const output = execFileSync(process.execPath, [file], { encoding: "utf8", timeout: 30_000 });

  expect(output).toBe("closed");
});
