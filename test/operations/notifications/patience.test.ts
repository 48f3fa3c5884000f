import { describe, expect, test } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Notifier } from "../../../src/notify/notifier.ts";
import { sendPatiently } from "../../../src/operations/notifications/patience.ts";
import { NOTIFICATION } from "../../suites/notifier-suite.ts";

/** A notifier that fails as it is told, then takes what it is given; and a clock whose time does not pass. */
function failing(...failures: readonly { readonly retryable: boolean }[]) {
  const left = [...failures];
  const slept: number[] = [];
  let sent = 0;
  const controller = new AbortController();
  const notifier: Notifier = {
    async send() {
      sent += 1;
      const failure = left.shift();
      if (failure !== undefined) throw new BackupctlError("NOTIFICATION_FAILED", "it is not taken", failure);
    },
  };
  const send = (): Promise<void> =>
    sendPatiently(notifier, NOTIFICATION, {
      sleep: async (ms, signal) => {
        slept.push(ms);
        signal?.throwIfAborted();
      },
      signal: controller.signal,
    });
  return { send, slept, tries: () => sent, abort: () => controller.abort(new Error("enough")) };
}

const LATER = { retryable: true };
const NEVER = { retryable: false };

describe("a notification", () => {
  test("that is taken is sent once", async () => {
    const { send, slept, tries } = failing();

    await send();

    expect([tries(), slept]).toEqual([1, []]);
  });

  test("is tried three times, with pauses", async () => {
    const { send, slept, tries } = failing(LATER, LATER);

    await send();

    expect([tries(), slept]).toEqual([3, [2_000, 10_000]]);
  });

  test("is given up after the third try", async () => {
    const { send, tries } = failing(LATER, LATER, LATER);

    await expect(send()).rejects.toMatchObject({ code: "NOTIFICATION_FAILED" });
    expect(tries()).toBe(3);
  });

  test("is tried once where another try would be the same", async () => {
    const { send, tries } = failing(NEVER);

    await expect(send()).rejects.toMatchObject({ code: "NOTIFICATION_FAILED" });
    expect(tries()).toBe(1);
  });

  test("is not tried again after a signal", async () => {
    const { send, abort, tries } = failing(LATER);
    abort();

    await expect(send()).rejects.toThrow();
    expect(tries()).toBe(1);
  });
});
