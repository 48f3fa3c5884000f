import { copyToShared } from "../platform/shared-memory.ts";

/** Shared memory that a run may have in use at once: whoever wants more waits until some is given back. */
export class SharedBuffers {
  readonly #budgetBytes: number;
  readonly #leastBuffers: number;
  readonly #free: SharedArrayBuffer[] = [];
  readonly #waiting: (() => void)[] = [];
  #inUseBytes = 0;

  /** `leastBuffers` may always be had, even if they are above the budget: with fewer a pipeline would stand still. */
  constructor(budgetBytes: number, leastBuffers = 4) {
    this.#budgetBytes = budgetBytes;
    this.#leastBuffers = leastBuffers;
  }

  async acquire(sizeBytes: number): Promise<SharedBuffer> {
    const limit = Math.max(this.#budgetBytes, this.#leastBuffers * sizeBytes);
    while (this.#inUseBytes + sizeBytes > limit) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    this.#inUseBytes += sizeBytes;
    const index = this.#free.findIndex((buffer) => buffer.byteLength === sizeBytes);
    const [reused] = index < 0 ? [] : this.#free.splice(index, 1);
    return new SharedBuffer(reused ?? new SharedArrayBuffer(sizeBytes), (memory) => this.#giveBack(memory));
  }

  #giveBack(memory: SharedArrayBuffer): void {
    this.#inUseBytes -= memory.byteLength;
    // Sizes change only when an artifact grows into another class: the old ones would never be asked for again.
    if (this.#free[0] !== undefined && this.#free[0].byteLength !== memory.byteLength) this.#free.length = 0;
    this.#free.push(memory);
    for (const wake of this.#waiting.splice(0)) wake();
  }
}

/** A counted reference: the memory is reused when the last holder has released it. */
export class SharedBuffer {
  readonly memory: SharedArrayBuffer;
  readonly #giveBack: (memory: SharedArrayBuffer) => void;
  #holders = 1;

  constructor(memory: SharedArrayBuffer, giveBack: (memory: SharedArrayBuffer) => void) {
    this.memory = memory;
    this.#giveBack = giveBack;
  }

  write(bytes: Uint8Array, offset: number): void {
    copyToShared(bytes, new Uint8Array(this.memory), offset);
  }

  hold(): void {
    this.#holders++;
  }

  release(): void {
    this.#holders--;
    if (this.#holders === 0) this.#giveBack(this.memory);
  }
}
