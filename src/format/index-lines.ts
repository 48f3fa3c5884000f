import type { ArtifactWriter } from "./artifact-writer.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import type { LineWriter } from "./line-writer.ts";

interface WaitingLines {
  /** The block that holds the last chunk these lines refer to. */
  readonly block: number;
  readonly render: () => readonly (string | Buffer)[];
  /** What they keep in memory beside. */
  readonly bytes: number;
}

const MOST_WAITING = 4096;
/** So that those of files with large attributes take no more memory than many others. */
const BYTES_OF_ONE = 4096;

/** Lines of an index that wait, in order, until the chunks they refer to have their place. */
export class IndexLines {
  readonly #writer: ArtifactWriter;
  readonly #file: LineWriter;
  readonly #queue = new BoundedQueue<WaitingLines>(MOST_WAITING, ({ bytes }) => 1 + bytes / BYTES_OF_ONE);

  constructor(writer: ArtifactWriter, file: LineWriter) {
    this.#writer = writer;
    this.#file = file;
  }

  /** Lines that refer to nothing later than what was added to the writer so far, and what they keep in memory. */
  async add(render: WaitingLines["render"], bytes = 0): Promise<void> {
    // Thousands of lines behind one open block: it won't be worth waiting for more to fill it.
    if (this.#queue.full) this.#writer.closeBlock();
    await this.#queue.push({ block: this.#writer.currentBlock, render, bytes });
  }

  end(): void {
    this.#writer.closeBlock();
    this.#queue.close();
  }

  fail(error: unknown): void {
    this.#queue.fail(error);
  }

  /** The loop that writes them; ends after `end`. */
  async run(): Promise<void> {
    for await (const { block, render } of this.#queue) {
      await this.#writer.placed(block);
      for (const piece of render()) this.#file.write(piece);
    }
  }
}
