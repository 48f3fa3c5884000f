import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { CreateResult } from "../../../src/operations/operations.ts";
import { addFile, createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { NO_CHOICES } from "../../helpers/site.ts";

const VERIFY = { all: false, deep: false, quick: false, components: [] };
const ALL = { to: [], dryRun: false, lockWaitMs: 0 };

/** A full backup and an incremental one in two storages, and something new for a third. */
async function chain() {
  const site = await openSite({ replica: true });
  const full = await createOne(site);
  addFile(site);
  const child = await createOne(site, { mode: "incremental" });
  addFile(site);
  return { site, full: full.id, child: child.id };
}

/** The pack with the data of the full backup, in a storage's folder. */
function packIn(site: OpenSite, folder: string): string {
  const names = readdirSync(join(site.directory, folder), { recursive: true, encoding: "utf8" });
  const name = names.find((each) => /\/full-[^/]*\/www\.tree\.zst\.enc\.00000000$/.test(each));
  return join(site.directory, folder, name ?? "");
}

const statesOf = ({ storages }: CreateResult) => Object.fromEntries(storages.map(({ name, state }) => [name, state]));

async function stateOf(site: OpenSite, id: string, storage: string): Promise<string | undefined> {
  const { copies } = await site.operations.show(id);
  return copies.find((copy) => copy.storage === storage)?.state;
}

describe("a parent that lacks an object in the primary", () => {
  it("makes a full backup everywhere, with the command that brings it back from a replica", async () => {
    const { site, full, child } = await chain();
    rmSync(packIn(site, "repository"));

    const result = await site.create({ mode: "incremental" });

    expect(result.backup?.mode).toBe("full");
    expect(statesOf(result)).toEqual({ local: "complete", second: "complete" });
    expect(result.warnings).toEqual([
      expect.stringMatching(`backup ${full} can't be built on: its object www.tree.* is missing in storage "local"`),
      `another storage has backup ${child} whole: mend it in "local" with \`backupctl verify ${child.slice(0, 8)} --storage local --repair\``,
    ]);
    expect(await stateOf(site, full, "local")).toBe("damaged");
  });

  it("is built on once that command was run", async () => {
    const { site, full, child } = await chain();
    rmSync(packIn(site, "repository"));
    await site.operations.verify({ ...VERIFY, reference: child, storage: "local", repair: true });

    const result = await site.create({ mode: "incremental" });

    expect(result.backup).toMatchObject({ mode: "incremental", parentId: child });
    expect(result.warnings).toEqual([]);
    expect(await stateOf(site, full, "local")).toBe("complete");
  });

  it("names no command where no other storage has it whole", async () => {
    const { site, full } = await chain();
    for (const folder of ["repository", "replica"]) rmSync(packIn(site, folder));
    await site.operations.verify({ ...VERIFY, reference: full, storage: "second" });

    const { backup, warnings } = await site.create({ mode: "incremental" });

    expect(backup?.mode).toBe("full");
    expect(warnings.join()).not.toContain("--repair");
  });

  it("is known to be damaged afterwards, but not by a dry run", async () => {
    const { site, full } = await chain();
    rmSync(packIn(site, "repository"));

    await site.operations.planCreate({ ...NO_CHOICES, mode: "incremental" });

    expect(await stateOf(site, full, "local")).toBe("complete");
  });
});

it("a parent that a verification found damaged in the primary names the command, too", async () => {
  const { site, child } = await chain();
  writeFileSync(packIn(site, "repository"), "damaged");
  await site.operations.verify({ ...VERIFY, reference: child, storage: "local" });

  const { backup, warnings } = await site.create({ mode: "incremental" });

  expect(backup?.mode).toBe("full");
  expect(warnings).toEqual([
    expect.stringContaining(`\`backupctl verify ${child.slice(0, 8)} --storage local --repair\``),
  ]);
});

it("a replica gets no backup that builds on what is damaged in it, until that is mended", async () => {
  const { site, full, child } = await chain();
  const pack = packIn(site, "replica");
  const whole = readFileSync(packIn(site, "repository"));
  writeFileSync(pack, whole.fill(0, 100, 200));
  await site.operations.verify({ ...VERIFY, reference: full, storage: "second" });

  const result = await site.create({ mode: "incremental" });

  expect(result.backup).toMatchObject({ mode: "incremental", parentId: child });
  expect(statesOf(result)).toEqual({ local: "complete", second: "pending" });
  await site.operations.verify({ ...VERIFY, reference: full, storage: "second", repair: true });
  await site.operations.replicate(ALL);
  expect(await stateOf(site, result.backup?.id ?? "", "second")).toBe("complete");
  expect((await site.operations.verify({ ...VERIFY, reference: "latest", storage: "second" })).passed).toBe(true);
});
