import { appendFileSync, existsSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { type Receiver, startReceiver } from "../helpers/receiver.ts";
import { startCli } from "../helpers/run-cli.ts";

const SIGNING_KEY = "9f86d081884c7d659a2feaa0c55ad015";

const bodySchema = z.object({
  id: z.uuid(),
  event: z.string(),
  title: z.string(),
  text: z.string(),
  details: z.looseObject({ status: z.string(), exit_code: z.number().nullable() }),
});

/** A site whose export does what the file `export` says, and a receiver of all its news. */
async function siteWith(receiver: Receiver): Promise<CliSite> {
  const site = await makeCliSite(`  export: {engine: command, command: [sh, "{dir}/export"]}`);
  exports(site, "echo exported");
  writeFileSync(join(site.directory, "url"), receiver.url, { mode: 0o600 });
  writeFileSync(join(site.directory, "signing-key"), SIGNING_KEY, { mode: 0o600 });
  appendFileSync(
    site.configFile,
    `notifiers: {ops: {type: webhook, url_file: url, secret_file: signing-key}}
schedules: {nightly: {every: day, at: "02:00", notify: {on_success: [ops], on_failure: [ops]}}}\n`,
  );
  return site;
}

function exports(site: CliSite, script: string): void {
  writeFileSync(join(site.directory, "export"), `echo >>${site.directory}/begun\n${script}\n`);
}

async function hasBegun(site: CliSite): Promise<void> {
  while (!existsSync(join(site.directory, "begun"))) await sleep(50);
}

function startRun(site: CliSite) {
  rmSync(join(site.directory, "begun"), { force: true });
  return startCli(["schedule", "run", "nightly", "--config", site.configFile], { home: site.directory });
}

function told({ requests }: Receiver) {
  return requests.map(({ body }) => bodySchema.parse(JSON.parse(body)));
}

/** Nothing that this host keeps has the address or the key. */
function expectNothingKept(site: CliSite, receiver: Receiver, ...said: readonly string[]): void {
  const state = join(site.directory, "state");
  const kept = readdirSync(state, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => readFileSync(join(entry.parentPath, entry.name), "latin1"));
  for (const text of [...kept, ...said, ...receiver.requests.map(({ body }) => body)]) {
    expect(text).not.toContain("a-token-in-the-path");
    expect(text).not.toContain(SIGNING_KEY);
  }
}

describe("a schedule's run by the program", () => {
  test("tells its notifier what was done, and what was not", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);

    expect((await site.run("config", "validate")).exitCode).toBe(0);
    expect(receiver.requests).toEqual([]);
    const good = await site.run("schedule", "run", "nightly");
    exports(site, `echo "the key is ${SIGNING_KEY}" >&2; exit 1`);
    const bad = await site.run("schedule", "run", "nightly", "--verbose");

    expect([good.exitCode, bad.exitCode]).toEqual([0, 1]);
    expect(good.stderr).toBe("");
    expect(told(receiver)).toMatchObject([
      { event: "schedule.completed", details: { exit_code: 0, facts: { backup_id: expect.any(String) } } },
      { event: "schedule.failed", details: { exit_code: 1, error: { code: expect.any(String) } } },
    ]);
    expect(told(receiver)[1]?.text).toContain("the key is ***");
    expectNothingKept(site, receiver, good.stdout, bad.stdout, bad.stderr);
  });

  test("tries again where the receiver has no time, with the same id", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);
    receiver.behave({ status: 503 }, "hangs up", { status: 204 });

    const { exitCode, stderr } = await site.run("schedule", "run", "nightly");

    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
    expect(receiver.requests).toHaveLength(3);
    expect(new Set(told(receiver).map(({ id }) => id)).size).toBe(1);
  });

  test("keeps its exit status where nobody could be told, and says so in any case", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);
    receiver.behave({ status: 403, says: receiver.url });

    const quiet = await site.run("schedule", "run", "nightly", "--quiet");
    const json = await site.run("schedule", "run", "nightly", "--json");
    writeFileSync(join(site.directory, "url"), "http://hooks.example.org/a-token-in-the-path");
    const unusable = await site.run("schedule", "run", "nightly", "--quiet");
    const validated = await site.run("config", "validate");

    expect([quiet.exitCode, json.exitCode, unusable.exitCode, validated.exitCode]).toEqual([0, 0, 0, 2]);
    expect(quiet.stderr).toMatch(/^warning: notifier "ops" was not told that schedule "nightly" .* answered 403/);
    expect(JSON.parse(json.stderr)).toEqual({ warning: expect.stringContaining("answered 403") });
    expect(unusable.stderr).toMatch(/^warning: notifier "ops" can't be used: .*url is not encrypted/);
    expect(validated.stderr).toContain("url is not encrypted");
    expectNothingKept(site, receiver, ...[quiet, json, unusable, validated].map(({ stderr }) => stderr));
    expect(await site.run("schedule", "check")).toMatchObject({ exitCode: 0 });
  });

  test("that SIGTERM cuts off is told at once, by itself", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);
    exports(site, "sleep 60");
    const { child, result } = startRun(site);
    await hasBegun(site);

    child.kill("SIGTERM");

    expect((await result).exitCode).toBe(143);
    expect(told(receiver)).toMatchObject([{ details: { status: "interrupted", exit_code: 143 } }]);
  });

  test("that SIGTERM cuts off waits five seconds for a receiver that is silent, and no longer", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);
    receiver.behave("silent");
    exports(site, "sleep 60");
    const { child, result } = startRun(site);
    await hasBegun(site);

    child.kill("SIGTERM");

    const { exitCode, stderr } = await result;
    expect(exitCode).toBe(143);
    expect(stderr).toContain('notifier "ops" was not told');
    expect(receiver.requests).toHaveLength(1);
  });

  test("that was killed is told by the next one; one that is killed while it tells has been written down", async () => {
    const receiver = await startReceiver();
    const site = await siteWith(receiver);
    exports(site, "sleep 60");
    const killed = startRun(site);
    await hasBegun(site);
    killed.child.kill("SIGKILL");
    await killed.result;
    expect(receiver.requests).toEqual([]);

    exports(site, "echo exported");
    receiver.behave({ status: 204 }, "silent");
    const telling = startRun(site);
    await receiver.hasReceived(2);
    telling.child.kill("SIGKILL");
    await telling.result;

    expect(told(receiver).map(({ details }) => details.status)).toEqual(["interrupted", "completed"]);
    receiver.behave({ status: 204 });
    const list = await site.run("schedule", "list", "--json");
    expect(list.json()).toMatchObject({ schedules: [{ last_status: "completed", total_runs: 2 }] });
    await site.run("schedule", "run", "nightly");
    expect(
      told(receiver)
        .slice(2)
        .map(({ details }) => details.status),
    ).toEqual(["completed"]);
  });
});
