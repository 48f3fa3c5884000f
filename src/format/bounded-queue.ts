/** A queue between two loops: the writer waits while it is full, the reader while it is empty, and either ends the other. */
export class BoundedQueue<T> {
  readonly #limit: number;
  readonly #weigh: (item: T) => number;
  readonly #items: T[] = [];
  #weight = 0;
  #closed = false;
  #failure: { readonly error: unknown } | undefined;
  #changed: (() => void)[] = [];

  /** Full where its items weigh that much or more; each weighs 1, if nothing else is said. */
  constructor(limit: number, weigh: (item: T) => number = () => 1) {
    this.#limit = limit;
    this.#weigh = weigh;
  }

  get full(): boolean {
    return this.#weight >= this.#limit;
  }

  async push(item: T): Promise<void> {
    while (this.full && this.#failure === undefined) await this.#change();
    if (this.#failure !== undefined) throw this.#failure.error;
    this.#items.push(item);
    this.#weight += this.#weigh(item);
    this.#wake();
  }

  close(): void {
    this.#closed = true;
    this.#wake();
  }

  /** Both ends throw this from now on. */
  fail(error: unknown): void {
    this.#failure ??= { error };
    this.#wake();
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<T> {
    for (;;) {
      if (this.#failure !== undefined) throw this.#failure.error;
      const item = this.#items.shift();
      if (item !== undefined) {
        this.#weight -= this.#weigh(item);
        this.#wake();
        yield item;
      } else if (this.#closed) {
        return;
      } else {
        await this.#change();
      }
    }
  }

  #change(): Promise<void> {
    return new Promise((resolve) => this.#changed.push(resolve));
  }

  #wake(): void {
    for (const wake of this.#changed.splice(0)) wake();
  }
}

/**
 * Runs loops that feed each other through queues. The first failure is thrown at once and fails the queues, so that the other
 * loops end at their next turn; one that waits for something else that will never come must not keep the error back.
 */
export async function runLoops(
  loops: readonly Promise<void>[],
  queues: readonly { fail(error: unknown): void }[],
): Promise<void> {
  try {
    await Promise.all(loops);
  } catch (error) {
    for (const queue of queues) queue.fail(error);
    throw error;
  }
}
