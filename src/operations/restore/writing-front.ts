import { compareNames, contains } from "../../platform/walk.ts";

/** How far a tree is written, in the order of its index: for who comes behind and finishes what is complete. */
export class WritingFront {
  #last: Buffer | undefined;
  #state: "writing" | "ended" | "stopped" = "writing";
  #waiting: (() => void)[] = [];

  /** All before this name is written, and it itself. */
  advance(name: Buffer): void {
    this.#last = name;
    this.#wake();
  }

  /** All is written. */
  end(): void {
    this.#state = "ended";
    this.#wake();
  }

  /** What is not written yet never will be. */
  stop(): void {
    if (this.#state === "writing") this.#state = "stopped";
    this.#wake();
  }

  /** Resolves when the entry is written and, of a directory, all that is in it; with false if it never will be. */
  async passes(name: Buffer): Promise<boolean> {
    while (this.#state === "writing" && !this.#isBehind(name)) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    return this.#state !== "stopped";
  }

  /** Resolves when all is written; with false if it never will be. */
  async passesAll(): Promise<boolean> {
    while (this.#state === "writing") await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return this.#state === "ended";
  }

  #isBehind(name: Buffer): boolean {
    return this.#last !== undefined && !contains(name, this.#last) && compareNames(name, this.#last) < 0;
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }
}
