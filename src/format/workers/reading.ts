import { type BigIntStats, closeSync, fstatSync, readSync } from "node:fs";
import { findAttributes, sizeOfAttributes } from "../../platform/extended-attributes.ts";
import { errnoOf } from "../../platform/files.ts";
import { openForReading } from "../../platform/walk.ts";
import { ChunkCollector, cut } from "./scanning.ts";
import type {
  FileState,
  FileToRead,
  ReadFile,
  ReadFilesResult,
  ReadFilesTask,
  ReadPartResult,
  ReadPartTask,
} from "./tasks.ts";

/** A zero run is a hole from this length on, and holes begin and end at multiples of the smaller unit. */
const HOLE_BYTES = 64 * 1024;
const HOLE_UNIT = 4096;
const ZEROS = Buffer.alloc(HOLE_UNIT);

/** Attributes of all files of one task: a file may have any number of them, each of 64 KiB, and this thread's heap is small. */
const ATTRIBUTE_BYTES = 2 * 1024 * 1024;

export function readFiles({ buffer, files }: ReadFilesTask): ReadFilesResult {
  const bytes = new Uint8Array(buffer);
  const found = new ChunkCollector();
  let room = ATTRIBUTE_BYTES;
  const read = files.map((file) => {
    const content = readWholeFile(bytes, file, found, room);
    if (content.attributes !== undefined && "attributes" in content.attributes)
      room -= sizeOfAttributes(content.attributes.attributes);
    return content;
  });
  return { files: read, ...found.list() };
}

function readWholeFile(bytes: Uint8Array, file: FileToRead, found: ChunkCollector, room: number): ReadFile {
  const firstChunk = found.count;
  let descriptor: number | undefined;
  try {
    descriptor = openForReading(Buffer.from(file.name));
    let before = fstatSync(descriptor, { bigint: true });
    for (let attempt = 1; ; attempt++) {
      const result = readOnce(bytes, file, descriptor, before);
      if (result.grown) return result;
      if (!result.changed || attempt === 2) {
        cut(
          bytes,
          { start: file.offset, end: file.offset + result.bytesRead, position: 0, final: true },
          "data",
          found,
        );
        const chunkCount = found.count - firstChunk;
        const attributes = file.wantsAttributes ? findAttributes(descriptor, Math.max(0, room)) : undefined;
        // Whoever wants them reads those himself that are not given.
        const isGiven = attributes !== undefined && !("errno" in attributes && attributes.errno === "E2BIG");
        return isGiven ? { ...result, chunkCount, attributes } : { ...result, chunkCount };
      }
      before = fstatSync(descriptor, { bigint: true });
    }
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno, bytesRead: 0, chunkCount: 0, state: file.expected, changed: false, grown: false };
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}

function readOnce(bytes: Uint8Array, file: FileToRead, descriptor: number, before: BigIntStats): ReadFile {
  const unread = { bytesRead: 0, chunkCount: 0, state: stateOf(before), changed: false, grown: true };
  if (before.size > BigInt(file.capacity) || (before.size === 0n && !isEmpty(descriptor))) return unread;
  const bytesRead = readFully(descriptor, bytes, file.offset, Number(before.size), 0);
  const after = stateOf(fstatSync(descriptor, { bigint: true }));
  const changed = !sameState(stateOf(before), after) || bytesRead !== after.size;
  return { bytesRead, chunkCount: 0, state: changed ? { ...after, size: bytesRead } : after, changed, grown: false };
}

/** File systems that do not know how much they will give (/proc, FUSE) say that it is nothing. */
function isEmpty(descriptor: number): boolean {
  return readSync(descriptor, new Uint8Array(1), 0, 1, 0) === 0;
}

export function readPart(task: ReadPartTask): ReadPartResult {
  const bytes = new Uint8Array(task.buffer);
  const found = new ChunkCollector();
  let bytesRead: number;
  try {
    bytesRead = readFully(task.descriptor, bytes, task.bodyOffset, task.length, task.fileOffset);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno, bytesRead: 0, end: task.bodyOffset, holes: [], consumed: 0, ...found.list() };
  }
  const holes: [number, number][] = [];
  const end = task.sparse
    ? leaveOutHoles(bytes, task.bodyOffset, bytesRead, task.fileOffset, holes)
    : task.bodyOffset + bytesRead;
  // A part cut short is the file's last one, whatever its size was said to be.
  const final = task.final || bytesRead < task.length;
  const consumed = cut(bytes, { start: task.start, end, position: task.position, final }, "data", found);
  return { bytesRead, end, holes, consumed, ...found.list() };
}

function readFully(descriptor: number, bytes: Uint8Array, offset: number, length: number, position: number): number {
  let done = 0;
  while (done < length) {
    const count = readSync(descriptor, bytes, offset + done, length - done, position + done);
    if (count === 0) break;
    done += count;
  }
  return done;
}

/** Moves the data together over its long zero runs, and notes where these were. Gives the new end of the data. */
function leaveOutHoles(
  bytes: Uint8Array,
  start: number,
  length: number,
  fileOffset: number,
  holes: [number, number][],
): number {
  const end = start + length;
  let write = start;
  for (let at = start; at < end; ) {
    const run = zeroRun(bytes, at, end);
    if (run >= HOLE_BYTES) {
      holes.push([fileOffset + (at - start), run]);
      at += run;
      continue;
    }
    const step = Math.max(run, Math.min(HOLE_UNIT, end - at));
    if (write !== at) bytes.copyWithin(write, at, at + step);
    write += step;
    at += step;
  }
  return write;
}

function zeroRun(bytes: Uint8Array, from: number, end: number): number {
  let at = from;
  while (at + HOLE_UNIT <= end && ZEROS.compare(bytes, at, at + HOLE_UNIT) === 0) at += HOLE_UNIT;
  return at - from;
}

function stateOf(stats: BigIntStats): FileState {
  return { size: Number(stats.size), mtimeNs: stats.mtimeNs, ctimeNs: stats.ctimeNs, inode: stats.ino };
}

function sameState(a: FileState, b: FileState): boolean {
  return a.size === b.size && a.mtimeNs === b.mtimeNs && a.ctimeNs === b.ctimeNs && a.inode === b.inode;
}
