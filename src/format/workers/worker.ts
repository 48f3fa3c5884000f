import { parentPort } from "node:worker_threads";
import { isBackupctlError, messageOf } from "../../errors.ts";
import { errnoOf } from "../../platform/files.ts";
import { exactly, giveBack } from "../../platform/own-memory.ts";
import { DamageError, type OpenedBlock, openBlock, sealBlock } from "../block.ts";
import { compress } from "../compression.ts";
import { findMismatch, sha256 } from "./hashing.ts";
import { readFiles, readPart } from "./reading.ts";
import { scan } from "./scanning.ts";
import type {
  CompressResult,
  CompressTask,
  HashTask,
  OpenBlockResult,
  OpenBlocksTask,
  Reply,
  Request,
  SealBlockTask,
  StoredBlock,
  Task,
  WriteBlockTask,
} from "./tasks.ts";
import { writeContents } from "./writing.ts";

/** A worker thread: reads, cuts, hashes, compresses, opens, writes. It holds no state between tasks. */
const port = parentPort;
if (port === null) throw new Error("this module is started as a worker thread");

port.on("message", ({ id, task }: Request) => {
  try {
    const { result, transfer } = perform(task);
    port.postMessage({ id, result } satisfies Reply, transfer);
  } catch (error) {
    port.postMessage(failureReply(id, error));
  }
});

interface Performed {
  readonly result: unknown;
  readonly transfer: ArrayBuffer[];
}

function perform(task: Task): Performed {
  switch (task.kind) {
    case "scan":
      return { result: scan(task), transfer: [] };
    case "read-files":
      return { result: readFiles(task), transfer: [] };
    case "read-part":
      return { result: readPart(task), transfer: [] };
    case "compress":
      return compressRanges(task);
    case "seal-block":
      return { result: sealAndCheck(task), transfer: [] };
    case "hash":
      return { result: hashOf(task), transfer: [] };
    case "open-block":
      return openForReader(task);
    case "write-block":
      return openAndWrite(task);
  }
}

function compressRanges({ ranges, compression }: CompressTask): Performed {
  const raw = gather(ranges);
  const packed = compress(raw, compression);
  // A copy where it did not shrink: it may lie in shared memory, which is reused.
  const payload = packed ?? Uint8Array.from(raw);
  const result: CompressResult = { payload, rawLength: raw.length, compressed: packed !== undefined };
  giveBack(raw);
  return { result, transfer: [payload.buffer] };
}

function gather(ranges: CompressTask["ranges"]): Uint8Array {
  const [first] = ranges;
  if (ranges.length === 1 && first !== undefined) return new Uint8Array(first.buffer, first.offset, first.length);
  const whole = new Uint8Array(ranges.reduce((sum, range) => sum + range.length, 0));
  let at = 0;
  for (const range of ranges) {
    // Not set(): between shared memory and one's own it copies word by word.
    Buffer.from(range.buffer, range.offset, range.length).copy(whole, at);
    at += range.length;
  }
  return whole;
}

function sealAndCheck(task: SealBlockTask): undefined {
  const { pack, offset, payload, header, seal, compression, lengths, hashes } = task;
  const end = sealBlock(seal, new Uint8Array(pack), offset, payload, header);
  giveBack(payload);
  if (!task.check) return;
  const { raw } = openBlock(seal, compression, offset, new Uint8Array(pack, offset, end - offset));
  const spans = new Uint32Array(lengths.length * 2);
  let at = 0;
  for (let i = 0; i < lengths.length; i++) {
    spans[i * 2] = at;
    spans[i * 2 + 1] = lengths[i] as number;
    at += lengths[i] as number;
  }
  if (at !== raw.length) throw new DamageError("block does not hold the bytes that went into it");
  if (findMismatch(raw, spans, hashes) !== undefined)
    throw new DamageError("block does not hold the chunks that went into it");
  giveBack(raw);
}

function hashOf({ range }: HashTask): string {
  return sha256(new Uint8Array(range.buffer, range.offset, range.length)).toString("hex");
}

function openAndCheck({ block, offset, seal, compression, spans, hashes }: StoredBlock): OpenedBlock {
  const opened = openBlock(seal, compression, offset, block);
  const mismatch = findMismatch(opened.raw, spans, hashes);
  if (mismatch !== undefined) throw new DamageError(`chunk at ${mismatch} of the block does not match its SHA-256`);
  return opened;
}

function openAndWrite(task: WriteBlockTask): Performed {
  const { raw } = openAndCheck(task);
  const result = writeContents(raw, task.contents);
  giveBack(raw);
  return { result, transfer: [] };
}

function openForReader(task: OpenBlocksTask): Performed {
  const { raw, last } = openAndCheck(task);
  // A copy of a block that is neither sealed nor compressed: it opens to where it lies, in memory that whoever read it uses again.
  const own = exactly(raw);
  const result: OpenBlockResult = { raw: own, last };
  return { result, transfer: [own.buffer] };
}

function failureReply(id: number, error: unknown): Reply {
  if (error instanceof DamageError) {
    return error.cause instanceof Error
      ? { id, damage: error.message, cause: error.cause.message }
      : { id, damage: error.message };
  }
  if (isBackupctlError(error)) {
    const { code, message, hint } = error;
    return { id, expected: { code, message, hint } };
  }
  const errno = errnoOf(error);
  // Node's own refusals have codes, too; those are bugs.
  if (errno !== undefined && !errno.startsWith("ERR_")) return { id, error: messageOf(error), errno };
  return { id, error: error instanceof Error ? (error.stack ?? error.message) : String(error) };
}
