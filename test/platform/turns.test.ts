import { expect, it } from "vitest";
import { withTurns } from "../../src/platform/turns.ts";

it("what is listed without waiting ends when a timer aborts it, and is closed", async () => {
  const stopping = new AbortController();
  let isClosed = false;
  function* endless(): Generator<number> {
    try {
      for (let i = 0; ; i++) yield i;
    } finally {
      isClosed = true;
    }
  }
  setTimeout(() => stopping.abort(new Error("stopped")), 1);

  const seen: number[] = [];
  const listing = (async () => {
    for await (const item of withTurns(endless(), stopping.signal)) seen.push(item);
  })();

  await expect(listing).rejects.toThrow("stopped");
  expect(seen.slice(0, 3)).toEqual([0, 1, 2]);
  expect(isClosed).toBe(true);
});
