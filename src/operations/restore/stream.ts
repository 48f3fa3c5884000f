import type { EngineContext, RestoreOutcome } from "../../engines/engine.ts";
import { BackupctlError } from "../../errors.ts";
import { DamageError } from "../../format/block.ts";
import { readStreamIndex } from "../../format/index-reader.ts";
import type { BackupContents, OpenedSource } from "../repository/backup-contents.ts";
import { readerOf } from "./check.ts";
import { type StreamPlace, streamTarget } from "./place.ts";

/** A stream artifact's bytes from `offset`, `length` of them, in order, each chunk checked before it is given. */
export async function* streamBytes(
  contents: BackupContents,
  opened: OpenedSource,
  onBytes: (bytes: number) => void,
  range: { readonly offset: number; readonly size: number } = { offset: 0, size: opened.root.size },
): AsyncGenerator<Uint8Array> {
  const end = range.offset + range.size;
  let position = 0;
  const wanted = readStreamIndex(opened.indexFile, opened.source.kind).chunks.flatMap((chunk) => {
    const start = position;
    position += chunk.length;
    return position > range.offset && start < end ? [{ chunk, what: start }] : [];
  });
  let given = 0;
  for await (const { bytes, what: start } of readerOf(contents, opened).read(wanted)) {
    const piece = bytes.subarray(Math.max(0, range.offset - start), Math.min(bytes.length, end - start));
    given += piece.length;
    onBytes(piece.length);
    yield piece;
  }
  if (given !== range.size) throw new DamageError(`${given} bytes are there instead of ${range.size}`);
}

interface StreamRestoreJob {
  readonly contents: BackupContents;
  readonly opened: OpenedSource;
  readonly place: StreamPlace;
  readonly overwrite: boolean;
  readonly dropExisting: boolean;
  readonly engineContext: EngineContext;
  readonly onBytes: (bytes: number) => void;
  readonly coming: () => () => void;
}

/** Lets the engine restore a stream: it writes beside what is there, checks, and swaps. */
export async function restoreStream(job: StreamRestoreJob): Promise<RestoreOutcome> {
  const { contents, opened, place, overwrite, dropExisting, coming } = job;
  const { inventory } = readStreamIndex(opened.indexFile, opened.source.kind);
  if (place.engine.restore === undefined) {
    throw new BackupctlError(
      "USAGE",
      `source "${opened.source.name}" can't be restored by engine ${opened.source.engine}`,
      {
        hint: "Write it as ordinary files instead: `backupctl download`.",
      },
    );
  }
  return place.engine.restore(
    {
      ...streamTarget(place),
      bytes: streamBytes(contents, opened, job.onBytes),
      sizeBytes: opened.root.size,
      ...(inventory === undefined ? {} : { inventory }),
      overwrite,
      dropExisting,
      coming,
    },
    job.engineContext,
  );
}
