import { setImmediate as turn } from "node:timers/promises";

/** Few: others may have work to hand out meanwhile. */
const ITEMS_BETWEEN_TURNS = 100;

/**
 * What is listed, read or made without ever waiting, with a turn for signals, timers and sockets now and then.
 * @throws why the signal aborts
 */
export async function* withTurns<T>(items: Iterable<T>, signal: AbortSignal): AsyncGenerator<T> {
  let count = 0;
  for (const item of items) {
    if (++count % ITEMS_BETWEEN_TURNS === 0) await turn();
    signal.throwIfAborted();
    yield item;
  }
}
