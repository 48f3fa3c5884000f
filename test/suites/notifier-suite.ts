import { describe, expect, test } from "vitest";
import type { Notification, Notifier } from "../../src/notify/notifier.ts";

export interface NotifierSuite {
  readonly name: string;
  /** A receiver of its own for each test, stopped when that ends. */
  readonly start: () => Promise<NotifierWorld>;
}

interface NotifierWorld {
  /** The notifier, with a time limit of a second. */
  readonly open: () => Promise<Notifier>;
  /** What the receiver took or refused, each as a person reads it. */
  readonly received: () => readonly string[];
  /** From now on: it refuses for good, has no time now, never answers, closes the connection; or is not there at all. */
  readonly behave: (how: "refuses" | "is busy" | "is silent" | "hangs up" | "is gone") => Promise<void> | void;
  /** Strings that must not appear in any error: its own, and those that the receiver says when it refuses or is busy. */
  readonly secrets: readonly string[];
}

export const NOTIFICATION: Notification = {
  id: "0f0e0d0c-0b0a-4909-8807-060504030201",
  event: "schedule.failed",
  severity: "critical",
  time: "2026-01-11T02:00:05.000Z",
  site: "Bäckerei „Süß“",
  host: "web1",
  title: 'schedule "nightly" of Bäckerei „Süß“ on web1 failed',
  lines: ["STORAGE_FAILED: the disk <b>is</b> away & gone 💾", "next: 2026-01-12T02:00:00.000Z"],
  details: { schedule: "nightly", problems: ["one", "two"], facts: { stored_bytes: 5 }, error: null },
};

const NEVER = new AbortController().signal;

/** The contract of src/notify/notifier.ts. Every notifier passes all of it. */
export function notifierSuite(suite: NotifierSuite): void {
  async function failureOf(world: NotifierWorld): Promise<unknown> {
    return (await world.open()).send(NOTIFICATION, NEVER).catch((error: unknown) => error);
  }

  function expectNoSecret(world: NotifierWorld, error: unknown): void {
    const said = error instanceof Error ? `${error.message} ${JSON.stringify(error)} ${String(error.cause)}` : "";
    for (const secret of world.secrets) expect(said).not.toContain(secret);
  }

  describe(`${suite.name} is a notifier:`, () => {
    test("it brings title and lines as they are, and may bring them again", async () => {
      const world = await suite.start();
      const notifier = await world.open();

      await notifier.send(NOTIFICATION, NEVER);
      await notifier.send(NOTIFICATION, NEVER);

      expect(world.received()).toHaveLength(2);
      for (const text of [NOTIFICATION.title, ...NOTIFICATION.lines]) expect(world.received()[1]).toContain(text);
    });

    test("opening calls nobody", async () => {
      const world = await suite.start();

      await world.open();

      expect(world.received()).toEqual([]);
    });

    test("a receiver that refuses is NOTIFICATION_FAILED for good, with a hint and without a secret", async () => {
      const world = await suite.start();
      await world.behave("refuses");

      const error = await failureOf(world);

      expect(error).toMatchObject({ code: "NOTIFICATION_FAILED", retryable: false, hint: expect.any(String) });
      expectNoSecret(world, error);
      expect(world.received()).toHaveLength(1);
    });

    test.each(["is busy", "is silent", "hangs up", "is gone"] as const)(
      "a receiver that %s may be tried again, which the notifier leaves to its caller",
      async (how) => {
        const world = await suite.start();
        await world.behave(how);

        const error = await failureOf(world);

        expect(error).toMatchObject({ code: "NOTIFICATION_FAILED", retryable: true, hint: expect.any(String) });
        expectNoSecret(world, error);
        expect(world.received().length).toBeLessThanOrEqual(1);
      },
    );

    test("it is aborted at once, with the reason", async () => {
      const world = await suite.start();
      await world.behave("is silent");
      const controller = new AbortController();
      const sending = (await world.open()).send(NOTIFICATION, controller.signal);
      const reason = new Error("enough");

      controller.abort(reason);

      await expect(sending).rejects.toBe(reason);
      await expect((await world.open()).send(NOTIFICATION, controller.signal)).rejects.toBe(reason);
    });
  });
}
