import type { ArtifactWriter } from "./artifact-writer.ts";
import { BoundedQueue } from "./bounded-queue.ts";
import type { LineWriter } from "./line-writer.ts";

interface WaitingLines {
  /** The block that holds the last chunk these lines refer to. */
  readonly block: number;
  readonly render: () => readonly (string | Buffer)[];
}

/** Lines of an index that wait, in order, until the chunks they refer to have their place. */
export class IndexLines {
  readonly #writer: ArtifactWriter;
  readonly #file: LineWriter;
  readonly #queue = new BoundedQueue<WaitingLines>(4096);

  constructor(writer: ArtifactWriter, file: LineWriter) {
    this.#writer = writer;
    this.#file = file;
  }

  /** Lines that refer to nothing later than what was added to the writer so far. */
  async add(render: WaitingLines["render"]): Promise<void> {
    // Thousands of lines behind one open block: it won't be worth waiting for more to fill it.
    if (this.#queue.full) this.#writer.closeBlock();
    await this.#queue.push({ block: this.#writer.currentBlock, render });
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
