import { existsSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import { statePaths } from "../../src/operations/session.ts";
import { createOne, type OpenSite, openSite, withEngine } from "../helpers/open-site.ts";
import { NO_CHOICES } from "../helpers/site.ts";

const SECRET = "correct horse battery staple";
const SITE = {
  sources: "  rows: {engine: command, command: [echo, row]}",
  more: `notifiers: {ops: {type: webhook, url: "https://hooks.example.org", secret: "${SECRET}"}}
schedules: {nightly: {every: day, at: "02:00"}}`,
};

/** A tool says with what it was called, which then is in its error. */
async function refuse(): Promise<never> {
  throw new BackupctlError("TOOL_FAILED", `mysql: access denied with ${SECRET}`);
}

/** What the catalog's files hold, written or still to be. */
async function catalogOf({ session }: OpenSite): Promise<string> {
  const { catalog } = await statePaths(session);
  return [catalog, `${catalog}-wal`].map((file) => (existsSync(file) ? readFileSync(file, "latin1") : "")).join("");
}

describe("a secret that a tool says is not in the catalog", () => {
  it("of a run that failed, nor of the schedule's", async () => {
    const site = await openSite(SITE);
    const broken = await withEngine(site, "command", { engine: (engine) => ({ ...engine, dump: refuse }) });

    await expect(broken.create({ ...NO_CHOICES })).rejects.toThrow(SECRET);
    await expect(broken.runSchedule({ name: "nightly", ifDue: false })).rejects.toThrow(SECRET);

    expect((await catalogOf(site)).match(/access denied with .../g)).toEqual(
      expect.arrayContaining(["access denied with ***"]),
    );
    expect(await catalogOf(site)).not.toContain(SECRET);
  });

  it("of a deep verification that could not restore", async () => {
    const site = await openSite(SITE);
    const { id } = await createOne(site);
    const broken = await withEngine(site, "command", { engine: (engine) => ({ ...engine, restore: refuse }) });

    await broken.verify({ all: false, deep: true, quick: false, components: [], reference: id });

    expect(await catalogOf(site)).toContain("access denied with ***");
    expect(await catalogOf(site)).not.toContain(SECRET);
  });
});
