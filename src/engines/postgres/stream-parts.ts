import type { StreamEntry } from "../engine.ts";

/** Reads the parts of one ordered stream, each in turn; what lies between them is passed over. */
interface StreamParts {
  /** The bytes of an entry that begins at or after the end of the one before. @throws if the stream ends within it. */
  part(entry: StreamEntry): AsyncGenerator<Uint8Array>;
  /** Reads on to the end, so that the producer has checked every byte. */
  drain(): Promise<void>;
  /** Lets go of the stream, wherever it is. */
  close(): Promise<void>;
}

export function splitStream(bytes: AsyncIterable<Uint8Array>): StreamParts {
  const iterator = bytes[Symbol.asyncIterator]();
  let held: Uint8Array = new Uint8Array(0);
  let offset = 0;

  /** Up to `limit` of the next bytes, `undefined` at the end. */
  async function next(limit: number): Promise<Uint8Array | undefined> {
    while (held.length === 0) {
      const step = await iterator.next();
      if (step.done === true) return undefined;
      held = step.value;
    }
    const taken = held.subarray(0, limit);
    held = held.subarray(taken.length);
    offset += taken.length;
    return taken;
  }

  return {
    async *part(entry) {
      if (entry.offset < offset) throw new Error(`the part ${entry.name} lies before what was read already`);
      while (offset < entry.offset) if ((await next(entry.offset - offset)) === undefined) throw endedBefore(entry);
      const end = entry.offset + entry.size;
      while (offset < end) {
        const piece = await next(end - offset);
        if (piece === undefined) throw endedBefore(entry);
        yield piece;
      }
    },
    async drain() {
      while ((await next(Number.MAX_SAFE_INTEGER)) !== undefined);
    },
    async close() {
      await iterator.return?.();
    },
  };
}

function endedBefore(entry: StreamEntry): Error {
  return new Error(`the backup's stream ended before the end of ${entry.name}`);
}
