import { readdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { Clock } from "../../../src/platform/clock.ts";
import { createOne, openSite, withFaults } from "../../helpers/open-site.ts";
import { damageData, NOTHING_ASKED, namesIn, restore, www } from "./tools.ts";

const NOON = new Date("2026-03-01T12:00:00.000Z");

/** A clock that a test sets. */
function settableClock(): Clock & { set(at: Date): void } {
  let now = NOON;
  return {
    now: () => now,
    monotonicMs: () => performance.now(),
    set: (at) => {
      now = at;
    },
  };
}

function minutesAfterNoon(minutes: number): string {
  return new Date(NOON.getTime() + minutes * 60_000).toISOString();
}

async function siteWithTwoBackups() {
  const clock = settableClock();
  const site = await openSite({ clock });
  const first = await createOne(site);
  clock.set(new Date(minutesAfterNoon(60)));
  writeFileSync(join(www(site), "second"), "");
  const second = await createOne(site, { mode: "incremental" });
  clock.set(new Date(minutesAfterNoon(120)));
  const plan = (asked: Partial<typeof NOTHING_ASKED>) =>
    site.operations.planRestore({ ...NOTHING_ASKED, to: join(site.directory, "out"), ...asked });
  return { site, first, second, plan };
}

describe("the backup that a restore takes", () => {
  it("is the newest at or before --timestamp, and the plan says how much older it is", async () => {
    const { first, second, plan } = await siteWithTwoBackups();

    const early = await plan({ timestamp: minutesAfterNoon(10) });
    const late = await plan({ timestamp: minutesAfterNoon(80) });
    const allowed = await plan({ timestamp: minutesAfterNoon(80), maxGapMs: 30 * 60_000 });

    expect(early).toMatchObject({
      backup: { id: first.id },
      gap: { seconds: 600, exceeds: false, asked: minutesAfterNoon(10) },
    });
    expect(late).toMatchObject({ backup: { id: second.id }, gap: { seconds: 1_200, exceeds: true } });
    expect(allowed.gap).toMatchObject({ exceeds: false });
  });

  it("is never one after --timestamp; the nearest after it is named", async () => {
    const { first, plan } = await siteWithTwoBackups();

    await expect(plan({ timestamp: minutesAfterNoon(-1) })).rejects.toMatchObject({
      code: "BACKUP_NOT_FOUND",
      hint: expect.stringContaining(first.id),
    });
  });

  it("needs a time zone to be chosen by time", async () => {
    const { plan } = await siteWithTwoBackups();

    await expect(plan({ timestamp: "2026-03-01 12:10" })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining("time zone"),
    });
  });

  it("is the one named, whatever is newer, and --timestamp with an id is refused", async () => {
    const { first, plan } = await siteWithTwoBackups();

    expect(await plan({ reference: first.id.slice(0, 8) })).toMatchObject({ backup: { id: first.id }, gap: undefined });
    await expect(plan({ reference: first.id, timestamp: minutesAfterNoon(10) })).rejects.toMatchObject({
      code: "USAGE",
    });
  });

  it("holds the component or source asked for, else the names that exist are said", async () => {
    const { second, plan } = await siteWithTwoBackups();

    expect(await plan({ type: "files" })).toMatchObject({ backup: { id: second.id }, sources: [{ name: "www" }] });
    await expect(plan({ components: ["database"] })).rejects.toMatchObject({
      code: "COMPONENT_NOT_FOUND",
      hint: "Use one of files.",
    });
    await expect(plan({ latest: true, sources: ["nope"] })).rejects.toMatchObject({
      code: "SOURCE_NOT_FOUND",
      hint: "Use one of www.",
    });
    await expect(plan({ reference: second.id, sources: ["nope"] })).rejects.toMatchObject({
      code: "SOURCE_NOT_FOUND",
      hint: "It holds www.",
    });
    await expect(plan({ type: "nonsense" })).rejects.toMatchObject({ code: "INVALID_BACKUP_TYPE" });
  });

  it("can't be had with a wrong key, which is said and writes nothing", async () => {
    const site = await openSite();
    await createOne(site);
    writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
    const other = await site.reopen();
    const to = join(site.directory, "out");

    const refused = restore(other, { latest: true, to });

    await expect(refused).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND", exitCode: 12 });
    expect(readdirSync(site.directory)).not.toContain("out");
  });

  it("is read from a storage that is not on this host where there is no other", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const operations = await withFaults(
      site,
      (storage) => void Object.assign(storage, { capabilities: { local: false, exclusiveNames: true } }),
    );

    const result = await restore(operations, { latest: true, to: join(site.directory, "out") });

    expect(result).toMatchObject({ backupId: id, sources: [{ status: "completed" }] });
  });

  it("is found although the catalog is gone", async () => {
    const site = await openSite();
    const { id } = await createOne(site);
    const state = join(site.directory, "elsewhere");
    const fresh = await site.reopen({
      loaded: { ...site.session.loaded, config: { ...site.session.loaded.config, stateDir: state } },
    });

    const result = await restore(fresh, { latest: true, to: join(site.directory, "out") });

    expect(result).toMatchObject({ backupId: id, sources: [{ status: "completed" }] });
  });
});

describe("the plan", () => {
  it("counts what is fetched from which storage, and touches nothing", async () => {
    const { site, first, second, plan } = await siteWithTwoBackups();

    const planned = await plan({ latest: true });

    expect(planned).toMatchObject({
      lineage: [first.id, second.id],
      storage: "local",
      inPlace: false,
      downtime: false,
      refusals: [],
      sources: [
        {
          name: "www",
          engine: "files",
          component: "files",
          place: join(site.directory, "out"),
          exists: false,
          packs: 1,
        },
      ],
    });
    const large = 3 * 1024 * 1024;
    expect(planned.bytesToRestore).toBeGreaterThan(large);
    expect(planned.bytesToFetch).toBeGreaterThan(large);
    expect(planned.bytesToFetch).toBeLessThan(large * 1.01);
    expect(namesIn(site.directory)).not.toContain("out");
  });

  it("estimates the time by what was measured here, and says nothing where nothing was", async () => {
    const site = await openSite();
    await createOne(site);
    const measured = await site.operations.planRestore({ ...NOTHING_ASKED, latest: true });
    const stopped = await siteWithTwoBackups();

    expect(measured.estimatedSeconds).toBeGreaterThan(0);
    expect((await stopped.plan({ latest: true })).estimatedSeconds).toBeUndefined();
  });

  it("says for a restore in place what is there", async () => {
    const { site, plan } = await siteWithTwoBackups();

    const planned = await plan({ latest: true, to: undefined });

    expect(planned).toMatchObject({
      inPlace: true,
      downtime: true,
      sources: [{ place: www(site), exists: true, contents: [expect.stringContaining("index.html")] }],
      refusals: [{ code: "TARGET_NOT_EMPTY" }],
    });
  });

  it("is read from a sound copy where the primary's is known to be damaged", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    damageData(await site.backupDirectory(), "www");
    await site.operations.verify({ reference: backup.id, all: false, deep: false, quick: false, components: [] });
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { reference: backup.id, to });

    expect(result.sources).toMatchObject([{ name: "www", status: "completed" }]);
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  });

  it("is read from a sound copy where the primary's metadata.json is gone, and says so", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const directory = await site.backupDirectory();
    rmSync(join(directory, "metadata.json"));
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { latest: true, to });

    expect(result.warnings).toContainEqual(
      expect.stringMatching(/^the copy in storage "local" is not used: .*metadata\.json/),
    );
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  });

  it("is the primary's, by what the catalog knows, where no copy has its metadata.json", async () => {
    const site = await openSite({ replica: true });
    await createOne(site);
    const directory = await site.backupDirectory();
    const second = directory.replace(site.repositoryDirectory, join(site.directory, "replica"));
    for (const copy of [directory, second]) writeFileSync(join(copy, "metadata.json"), "");
    const to = join(site.directory, "out");

    const result = await restore(site.operations, { latest: true, to, skipDamaged: true });

    expect(result.warnings).toContainEqual(
      expect.stringMatching(/what the catalog knows of backup .* is used instead/),
    );
    expect(result.warnings).toContainEqual(expect.stringMatching(/^the copy in storage "second" is not used: /));
    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  });
});
