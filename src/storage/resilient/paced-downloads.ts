import type { Storage } from "../storage.ts";
import { changed } from "./changed.ts";
import { makePace } from "./pace.ts";
import type { StorageRun } from "./run.ts";

/** Smaller ones would be all round trips. */
const SMALLEST_PIECE_BYTES = 64 * 1024;

/** A storage from which no more than `bytesPerSecond` come: a range is asked for in pieces of a second each. */
export function pacedDownloads(inner: Storage, bytesPerSecond: number, run: StorageRun): Storage {
  const pace = makePace(bytesPerSecond, run);
  const pieceBytes = Math.max(SMALLEST_PIECE_BYTES, Math.floor(bytesPerSecond));
  return changed(inner, {
    async get(key, range, options) {
      const pieces: Buffer[] = [];
      for (let done = 0; ; done += pieceBytes) {
        const length = Math.min(pieceBytes, (range?.length ?? 0) - done);
        const piece = range === undefined ? undefined : { offset: range.offset + done, length };
        const bytes = await inner.get(key, piece, options);
        if (bytes === undefined) return undefined;
        // Afterwards, since a range may reach far beyond the object's end.
        await pace(bytes.length, options?.signal);
        pieces.push(bytes);
        if (range === undefined || bytes.length < length || done + length >= range.length) break;
      }
      const [first] = pieces;
      return pieces.length === 1 ? first : Buffer.concat(pieces);
    },
  });
}
