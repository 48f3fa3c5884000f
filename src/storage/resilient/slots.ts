/** Lets so many work at the same time; who comes later waits for his turn. */
export interface Slots {
  /** @throws the signal's reason where that is aborted before there is a slot */
  use<T>(signal: AbortSignal | undefined, work: () => Promise<T>): Promise<T>;
}

export function makeSlots(count: number): Slots {
  let free = count;
  const waiting: (() => void)[] = [];

  async function enter(signal: AbortSignal | undefined): Promise<void> {
    signal?.throwIfAborted();
    if (free > 0) {
      free -= 1;
      return;
    }
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    const stop = (): void => {
      waiting.splice(waiting.indexOf(resolve), 1);
      reject(signal?.reason);
    };
    waiting.push(resolve);
    signal?.addEventListener("abort", stop);
    try {
      await promise;
    } finally {
      signal?.removeEventListener("abort", stop);
    }
  }

  /** The slot goes to whoever waits longest, without becoming free in between: nobody overtakes. */
  function leave(): void {
    const next = waiting.shift();
    if (next === undefined) free += 1;
    else next();
  }

  return {
    async use(signal, work) {
      await enter(signal);
      try {
        return await work();
      } finally {
        leave();
      }
    },
  };
}
