import { existsSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import { type Clock, systemClock } from "../../../src/platform/clock.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { objectsIn, openSite, withFaults } from "../../helpers/open-site.ts";
import { NO_CHOICES, type SiteOptions } from "../../helpers/site.ts";
import { restore } from "../restore/tools.ts";

const denied = new BackupctlError("STORAGE_DENIED", "the login may not do this");
const QUICK = { all: false, deep: false, quick: false, components: [] };
const SOURCES = `  list: {engine: command, command: [sh, -c, "touch {dir}/was-read; seq 1 1000"]}`;

const statesOf = ({ storages }: { readonly storages: readonly { readonly name: string; readonly state: string }[] }) =>
  storages.map(({ name, state }) => `${name} ${state}`);

async function siteThatTells(options: Partial<SiteOptions> = {}) {
  const site = await openSite({ sources: SOURCES, ...options });
  return { site, wasRead: () => existsSync(join(site.directory, "was-read")) };
}

function readOnly(...names: readonly string[]) {
  return (storage: FaultyStorage): void => {
    if (!names.includes(storage.name)) return;
    for (const call of ["put", "remove"] as const) storage.onCall(call, "every").fail(denied);
  };
}

describe("before anything is read", () => {
  it.each([false, true])("a login that may only read ends the run (without any key: %s)", async (keyless) => {
    const { site, wasRead } = await siteThatTells({ keyless });
    const operations = await withFaults(site, readOnly("local"));

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject(denied);

    expect(wasRead()).toBe(false);
    expect(objectsIn(site)).toEqual([]);
    await site.create();
    expect(site.warnings).toEqual([]);
  });

  it("a clock that is ahead of the storage's ends the run, whatever replicas there are", async () => {
    const clock: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + 10 * 60_000) };
    const { site, wasRead } = await siteThatTells({ clock, replica: true });

    await expect(site.create()).rejects.toMatchObject({
      code: "CLOCK_SKEWED",
      message: expect.stringContaining('is ahead of storage "local"'),
    });

    expect(wasRead()).toBe(false);
    expect(objectsIn(site)).toEqual([]);
  });

  it("a clock that is behind the storage's is told of", async () => {
    let behindMs = 400 * 86_400_000;
    const clock: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() - behindMs) };
    const { site } = await siteThatTells({ clock });

    const { warnings } = await site.create();
    behindMs = 4 * 60_000;
    await site.create();

    expect(warnings).toEqual([expect.stringMatching(/is behind storage "local" .* is dated 1 year too early/)]);
    expect(site.warnings).toEqual(warnings);
  });

  it("a put that takes long is no clock that is behind", async () => {
    let passedMs = -20 * 60_000;
    const clock: Clock = { ...systemClock, now: () => new Date(systemClock.now().getTime() + passedMs) };
    const { site } = await siteThatTells({ clock });
    const operations = await withFaults(site, (storage) => {
      storage.onKey("put", /\/trial$/).meanwhile(() => {
        passedMs = 0;
      });
    });

    expect((await operations.create(NO_CHOICES)).warnings).toEqual([]);
  });

  it("a service that refuses this host's time for a put ends the run, too", async () => {
    const { site, wasRead } = await siteThatTells({ replica: true });
    const skewed = new BackupctlError("CLOCK_SKEWED", "this host's clock is 20 minutes behind");
    const operations = await withFaults(site, (storage) => {
      if (storage.name === "local") storage.onCall("put", "every").fail(skewed);
    });

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject(skewed);

    expect(wasRead()).toBe(false);
  });

  it("a replica's login that may only read is told of, and the replica left out", async () => {
    const { site, wasRead } = await siteThatTells({ replica: true });
    const operations = await withFaults(site, readOnly("second"));
    let readWhenTold: boolean | undefined;
    site.warnings.push = (line) => {
      if (line.includes("takes no part")) readWhenTold = wasRead();
      return 0;
    };

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual(["local complete", "second pending"]);
    expect(result.warnings[0]).toBe('storage "second" takes no part in this run: the login may not do this');
    expect(readWhenTold).toBe(false);
  });

  it("a primary's login that may only read leaves the backup to a replica", async () => {
    const { site } = await siteThatTells({ replica: true });
    const operations = await withFaults(site, readOnly("local"));

    const result = await operations.create(NO_CHOICES);

    expect(statesOf(result)).toEqual(["local pending", "second complete"]);
    expect(result.warnings[0]).toBe(
      'storage "local" failed (the login may not do this): the backup goes on in "second"',
    );
  });

  it("all logins that may only read end the run with what the primary says", async () => {
    const { site, wasRead } = await siteThatTells({ replica: true });
    const operations = await withFaults(site, readOnly("local", "second"));

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject(denied);

    expect(wasRead()).toBe(false);
  });
});

it("what was put to try goes again, and nothing of a source of that name", async () => {
  const { site } = await siteThatTells({ sources: `  trial: {engine: command, command: [seq, "1000"]}` });

  await site.create();

  expect(objectsIn(site).filter((key) => key.endsWith("/trial"))).toEqual([]);
  expect((await site.operations.verify({ ...QUICK, reference: "latest" })).passed).toBe(true);
});

it("where a login may write and not remove it stays in each storage, and harms nothing", async () => {
  const { site } = await siteThatTells({ replica: true });
  const operations = await withFaults(site, (storage) => void storage.onCall("remove", "every").fail(denied));

  const { backup, storages, warnings } = await operations.create(NO_CHOICES);

  expect(backup?.status).toBe("completed");
  expect(statesOf({ storages })).toEqual(["local complete", "second complete"]);
  expect(warnings).toEqual([]);
  expect(objectsIn(site).filter((key) => key.endsWith("/trial"))).toHaveLength(1);
  for (const storage of ["local", "second"]) {
    expect((await site.operations.verify({ ...QUICK, reference: "latest", storage })).passed).toBe(true);
  }
  expect((await site.operations.rebuildCatalog()).damaged).toEqual([]);
  await restore(site.operations, { latest: true, to: join(site.directory, "to") });
  const plan = { reference: backup?.id ?? "", withDescendants: false, force: true, reason: "test", lockWaitMs: 0 };
  await site.operations.delete(plan, await site.operations.planDelete(plan));
  expect(objectsIn(site)).toEqual([]);
});
