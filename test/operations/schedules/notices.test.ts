import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { BackupctlError } from "../../../src/errors.ts";
import type { Session } from "../../../src/operations/session.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { acquireLock } from "../../../src/platform/lock.ts";
import { type OpenSite, openSite, WWW, withEngine } from "../../helpers/open-site.ts";
import { type Receiver, startReceiver } from "../../helpers/receiver.ts";

const bodySchema = z.object({
  event: z.string(),
  id: z.string(),
  title: z.string(),
  text: z.string(),
  details: z.looseObject({}),
});

interface ToldSite {
  readonly site: OpenSite;
  readonly good: Receiver;
  readonly bad: Receiver;
}

/** A site that tells one receiver what is done, another one what failed. */
async function toldSite({
  sources = WWW,
  ops = "",
  ...more
}: {
  sources?: string;
  ops?: string;
  signal?: AbortSignal;
} = {}): Promise<ToldSite> {
  const [good, bad] = [await startReceiver(), await startReceiver()];
  const site = await openSite({
    sources,
    more: `
notifiers:
  team: {type: webhook, url: "${good.url}"}
  ops: {type: webhook, url: "${bad.url}", ${ops}}
schedules:
  nightly: {every: day, at: "02:00", notify: {on_success: [team], on_failure: [ops]}}
  quiet: {every: day, at: "02:00"}
`,
    ...more,
  });
  return { site, good, bad };
}

function told({ requests }: Receiver) {
  return requests.map(({ body }) => bodySchema.parse(JSON.parse(body)));
}

async function markRunning(site: OpenSite): Promise<void> {
  const run = { scheduledFor: "2026-01-11T02:00:00.000Z", startedAt: "2026-01-11T02:00:00.000Z" };
  const died = { id: "died", schedule: "nightly", endedAt: undefined, status: "running", summary: undefined } as const;
  (await site.context.catalog("write")).schedules.record({ ...run, ...died });
}

describe("who is named is told of a run", () => {
  test("that is done, after it was written down and nobody holds it any more", async () => {
    const { site, good, bad } = await toldSite();
    good.behave("silent");
    const running = site.operations.runSchedule({ name: "nightly", ifDue: false });
    await good.hasReceived(1);

    // The receiver still has not answered.
    const [nightly] = await site.operations.listSchedules();
    expect(nightly?.last).toMatchObject({ status: "completed" });
    good.answer();
    const { ran, exitCode } = await running;

    expect({ ran, exitCode }).toEqual({ ran: true, exitCode: 0 });
    expect(told(good)[0]).toMatchObject({
      event: "schedule.completed",
      details: {
        ...{ schedule: "nightly", operation: "create", status: "completed", exit_code: 0, error: null },
        facts: { backup_id: expect.any(String), mode: "full", stored_bytes: expect.any(Number) },
      },
    });
    expect(bad.requests).toEqual([]);
  });

  test("that failed, with why, in place of whom success is for", async () => {
    const { site, good, bad } = await toldSite();
    const broken = await withEngine(site, "files", {
      engine: (engine) => ({
        ...engine,
        dump: async () => {
          throw new BackupctlError("SOURCE_FAILED", "the disk is gone", { hint: "Bring it back." });
        },
      }),
    });

    await expect(broken.runSchedule({ name: "nightly", ifDue: false })).rejects.toMatchObject({
      code: "SOURCE_FAILED",
    });

    expect(told(bad)).toMatchObject([
      {
        event: "schedule.failed",
        text: expect.stringContaining("the disk is gone"),
        details: { status: "failed", exit_code: 1, error: { code: "SOURCE_FAILED", hint: expect.any(String) } },
      },
    ]);
    expect(good.requests).toEqual([]);
  });

  test("that is done in part, as of a failure", async () => {
    const { site, good, bad } = await toldSite({
      sources: `${WWW}\n  export: {engine: command, command: ["false"]}`,
    });

    expect(await site.operations.runSchedule({ name: "nightly", ifDue: false })).toMatchObject({ exitCode: 3 });

    expect(told(bad)).toMatchObject([{ details: { status: "partial", exit_code: 3 } }]);
    expect(told(bad)[0]?.text).toContain('source "export" failed: ');
    expect(good.requests).toEqual([]);
  });

  test("that can't even be begun", async () => {
    const { site, bad } = await toldSite();
    const full: Session["adapters"]["openCatalog"] = async () => {
      throw new BackupctlError("CATALOG_FAILED", "the disk is full");
    };
    const broken = await site.reopen({ adapters: { ...site.session.adapters, openCatalog: full } });

    await expect(broken.runSchedule({ name: "nightly", ifDue: false })).rejects.toThrow("the disk is full");

    expect(told(bad)).toMatchObject([{ details: { status: "failed", error: { code: "CATALOG_FAILED" } } }]);
  });

  test("that is a bug, too", async () => {
    const { site, bad } = await toldSite();
    const jobs = { create: async () => Promise.reject(new TypeError("x is not a function")) };
    const broken = await site.reopen({ adapters: { ...site.session.adapters, jobs } });

    await expect(broken.runSchedule({ name: "nightly", ifDue: false })).rejects.toThrow("x is not a function");

    expect(told(bad)).toMatchObject([{ details: { exit_code: 1, error: { code: "INTERNAL", hint: null } } }]);
  });

  test("whose process died, by the next one that finds it, before that begins", async () => {
    const { site, good, bad } = await toldSite();
    await markRunning(site);

    await site.operations.runSchedule({ name: "nightly", ifDue: false });

    expect(told(bad)).toMatchObject([
      { details: { status: "interrupted", started_at: "2026-01-11T02:00:00.000Z", ended_at: null, exit_code: null } },
    ]);
    expect(told(good)).toHaveLength(1);
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    expect(bad.requests).toHaveLength(1);
  });

  test("that a signal cut off, though a program prints the address", async () => {
    const controller = new AbortController();
    const bad = await startReceiver();
    const site = await openSite({
      signal: controller.signal,
      sources: `${WWW}\n  export: {engine: command, command: [sleep, "60"]}`,
      more: `
notifiers: {ops: {type: webhook, url_command: [cat, "{dir}/address"]}}
schedules: {nightly: {every: day, at: "02:00", notify: {on_failure: [ops]}}}
`,
    });
    writeFileSync(join(site.directory, "address"), bad.url);
    const running = site.operations.runSchedule({
      ...{ name: "nightly", ifDue: false },
      onProgress: () =>
        controller.abort(new BackupctlError("INTERRUPTED", "interrupted by SIGTERM", { exitCode: 143 })),
    });

    await expect(running).rejects.toThrow();

    expect(told(bad)).toMatchObject([
      { details: { status: "interrupted", exit_code: 143, error: { code: "INTERRUPTED" } } },
    ]);
  });
});

describe("nobody is told", () => {
  test("of what had nothing to do, was refused, or belongs to a schedule that names nobody", async () => {
    const { site, good, bad } = await toldSite();
    await site.operations.runSchedule({ name: "quiet", ifDue: false });
    await site.operations.runSchedule({ name: "quiet", ifDue: true });
    const state = await statePaths(site.session);
    const lock = await acquireLock(join(state.directory, "schedule-nightly.lock"), { operation: "schedule nightly" });
    await expect(site.operations.runSchedule({ name: "nightly", ifDue: false })).rejects.toMatchObject({
      code: "BACKUP_IN_PROGRESS",
    });
    await site.operations.runSchedule({ name: "nightly", ifDue: true });
    await lock.release();

    expect([...good.requests, ...bad.requests]).toEqual([]);
  });
});

describe("what can't be told", () => {
  test("is a warning, and the run is what it was", async () => {
    const { site, good } = await toldSite();
    good.behave({ status: 404, says: good.url });

    const result = await site.operations.runSchedule({ name: "nightly", ifDue: false });

    expect(result).toMatchObject({ ran: true, exitCode: 0, problems: [] });
    expect(site.warnings).toEqual([
      expect.stringContaining('notifier "team" was not told that schedule "nightly" of test on test-host is done: '),
    ]);
    expect(site.warnings[0]).toContain("the receiver answered 404");
    expect(site.warnings[0]).not.toContain("a-token-in-the-path");
  });

  test("for want of a secret is said before the work, and the run is what it was", async () => {
    const { site, good } = await toldSite({ ops: `authorization_file: "{dir}/nowhere"` });

    expect(await site.operations.runSchedule({ name: "nightly", ifDue: false })).toMatchObject({ exitCode: 0 });

    expect(site.warnings).toEqual([expect.stringContaining('notifier "ops" can\'t be used: CONFIG_INVALID: ')]);
    expect(good.requests).toHaveLength(1);
  });
});

test("no secret is told, whoever says it, nor a second line", async () => {
  const { site, bad } = await toldSite({ ops: `secret: "the secret to sign with"` });
  const jobs = {
    create: async () => {
      throw new BackupctlError(
        "TOOL_FAILED",
        "it said: the secret to sign with\nand dGhlIHNlY3JldCB0byBzaWduIHdpdGg=",
        {
          lines: [`called ${bad.url}`, "x".repeat(100_000)],
        },
      );
    },
  };
  const broken = await site.reopen({ adapters: { ...site.session.adapters, jobs } });

  await expect(broken.runSchedule({ name: "nightly", ifDue: false })).rejects.toThrow();

  const [request] = bad.requests;
  expect(request?.body).not.toMatch(/secret to sign|a-token-in-the-path|dGhlIHNlY3JldCB0/);
  expect(request?.body.length).toBeLessThan(10_000);
  expect(told(bad)[0]?.details.error).toMatchObject({ message: "it said: ***\\x0aand ***" });
});
