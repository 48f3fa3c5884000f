import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { statePaths } from "../../src/operations/session.ts";
import { createOne, type OpenSite, openSite } from "../helpers/open-site.ts";
import { NO_CHOICES } from "../helpers/site.ts";
import { download, namesIn, restore, www } from "./restore/tools.ts";

const VERIFY = { reference: "latest", all: false, deep: false, quick: false, components: [] };

/** As list, show, verify, download and restore open it. */
async function reader({ directory, reopen }: OpenSite): Promise<Operations> {
  const path = join(directory, "backup.config.yaml");
  return reopen({ loaded: await loadConfig({ path, env: {}, cwd: directory, mode: "rescue" }) });
}

function saidOf({ warnings }: OpenSite, what: string): readonly string[] {
  return warnings.filter((line) => line.includes(what));
}

describe("where the state directory can't be written", () => {
  /** For root as for anybody else: a file is in its place. */
  async function withoutState(): Promise<OpenSite> {
    const site = await openSite();
    await createOne(site);
    await site.operations.close();
    const { loaded } = site.session;
    rmSync(loaded.config.stateDir, { recursive: true });
    writeFileSync(loaded.config.stateDir, "");
    return site;
  }

  it("a restore reads the storages, and says so and that it has no lock", async () => {
    const site = await withoutState();
    const to = join(site.directory, "out");

    await restore(await reader(site), { reference: "latest", to });

    expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
    expect(site.warnings).toHaveLength(2);
    expect(saidOf(site, "the storages are read instead")[0]).toMatch(/state directory .* can't be written: ENOTDIR/);
    expect(saidOf(site, "goes on without a lock")).toHaveLength(1);
  });

  it("list, status, verify and download do, with one warning each", async () => {
    const site = await withoutState();
    const commands: readonly ((operations: Operations) => Promise<unknown>)[] = [
      (operations) => operations.list({ limit: 10, offset: 0 }),
      (operations) => operations.status(undefined),
      (operations) => operations.verify(VERIFY),
      (operations) => download(operations, { to: join(site.directory, "files") }),
    ];

    for (const command of commands) {
      site.warnings.length = 0;
      await command(await reader(site));

      expect(site.warnings).toEqual([expect.stringContaining("the storages are read instead")]);
    }
    expect(namesIn(join(site.directory, "files"))).toEqual(["www.tar"]);
  });

  it("a backup is none, with the reason and what helps", async () => {
    const site = await withoutState();

    await expect((await site.reopen()).create(NO_CHOICES)).rejects.toMatchObject({
      code: "CATALOG_FAILED",
      message: expect.stringContaining("ENOTDIR: not a directory"),
      hint: expect.stringContaining("BACKUPCTL_STATE_DIR"),
    });
  });
});

it("where only the folder of readers can't be made, indexes are read elsewhere", async () => {
  const site = await openSite();
  await createOne(site);
  writeFileSync(join((await statePaths(site.session)).directory, "reading"), "");
  const to = join(site.directory, "out");

  await restore(await reader(site), { reference: "latest", to });

  expect(namesIn(join(to, www(site)))).toEqual(namesIn(www(site)));
  expect((await (await reader(site)).verify(VERIFY)).passed).toBe(true);
});

it("a lock that can't be had does not stop a restore", async () => {
  const site = await openSite();
  await createOne(site);
  const { lock } = await statePaths(site.session);
  rmSync(lock);
  mkdirSync(lock);

  await restore(await reader(site), { reference: "latest", to: join(site.directory, "out") });

  expect(saidOf(site, "goes on without a lock")).toHaveLength(1);
});
