import { expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { impatience } from "../../../src/operations/repository/impatience.ts";

const error = new BackupctlError("STORAGE_FAILED", "the connection was refused", { retryable: true });

it("a call that tries again is ended by its own error, when that has taken too long", () => {
  let nowMs = 1_000;
  const { signal, onRetry } = impatience({ now: () => new Date(), monotonicMs: () => nowMs });

  onRetry?.({ error, waitMs: 8_000 });
  expect(signal?.aborted).toBe(false);
  nowMs += 8_000;
  onRetry?.({ error, waitMs: 8_000 });

  expect(signal?.reason).toBe(error);
});

it("and by whoever ends all calls", () => {
  const ended = new AbortController();
  const { signal } = impatience({ now: () => new Date(), monotonicMs: () => 0 }, ended.signal);

  ended.abort(error);

  expect(signal?.reason).toBe(error);
});
