import { createHash } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import { z } from "zod";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { startCli } from "../helpers/run-cli.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";

const copy = z.object({ storage: z.string(), state: z.string() });
const created = z.object({
  backup_id: z.string(),
  status: z.string(),
  storages: z.array(z.object({ name: z.string(), state: z.string() })),
});
const shown = z.object({ copies: z.array(copy) });
const replicated = z.object({
  storages: z.array(
    z.object({
      name: z.string(),
      copied: z.array(z.string()),
      not_copied: z.array(z.object({ backup_id: z.string(), error: z.object({ code: z.string() }) })),
      lag: z.object({ backups: z.number(), oldest: z.string().nullable() }),
    }),
  ),
});

describe("an operator with two storages, one of which is away for a night", () => {
  const directory = suiteTempDir();
  let site: CliSite;
  let first: string;
  let missed: string;
  const replica = join(directory, "replica");
  const hidden = join(directory, "unplugged");

  beforeAll(async () => {
    mkdirSync(join(directory, "www"));
    writeFileSync(join(directory, "www/large"), noise(2 ** 21));
    site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`, directory, { replica: true });
    const both = await site.json(created, ["create"]);
    expect(both.storages.map(({ state }) => state)).toEqual(["complete", "complete"]);
    first = both.backup_id;
  });

  it("gets exit status 3, and a backup that says where it is", async () => {
    renameSync(replica, hidden);
    writeFileSync(join(directory, "www/new"), noise(100_000, 2));

    const result = await site.json(created, ["create", "--mode", "incremental"], [3]);
    missed = result.backup_id;

    expect(result.status).toBe("completed");
    expect(result.storages).toEqual([
      { name: "local", state: "complete" },
      { name: "second", state: "pending" },
    ]);
    expect((await site.json(shown, ["show", missed])).copies.map(({ state }) => state)).toEqual([
      "complete",
      "pending",
    ]);
    expect((await site.run("verify", missed, "--storage", "local")).exitCode).toBe(0);
  });

  it("is told by replicate that it is away still", async () => {
    const { exitCode, stderr, stdout } = await site.run("replicate");

    expect(exitCode).toBe(3);
    expect(stderr).toContain('storage "second"');
    expect(stdout).toMatch(/second +failed +0 +0 B +1/);
  });

  it("may delete nothing meanwhile, since its copy would come back", async () => {
    const { exitCode, stderr } = await site.run("delete", missed, "--force", "--reason", "test", "--yes");

    expect(exitCode).toBe(1);
    expect(stderr).toContain('nothing is deleted without storage "second"');
  });

  it("sees how far behind it is once it is back, and brings it up to date", async () => {
    renameSync(hidden, replica);

    const plan = await site.json(replicated, ["replicate", "--dry-run"]);
    const result = await site.json(replicated, ["replicate"]);

    expect(plan.storages[1]?.lag).toMatchObject({ backups: 1, oldest: expect.any(String) });
    expect(result.storages.map(({ copied }) => copied)).toEqual([[], [missed]]);
    expect(objectsOf(replica)).toEqual(objectsOf(join(directory, "repository")));
    expect((await site.run("verify", "--all", "--storage", "second")).exitCode).toBe(0);
    expect((await site.json(shown, ["show", missed])).copies.map(({ state }) => state)).toEqual([
      "complete",
      "complete",
    ]);
  });

  it("loses no race between two of them: one waits its turn, or is refused", async () => {
    await site.run("create", "--storage", "local");

    const runs = await Promise.all(
      [0, 1].map(() => startCli(["replicate", "--config", site.configFile], { home: directory }).result),
    );

    expect(runs.map(({ exitCode }) => exitCode)).toContain(0);
    expect([0, 11]).toEqual(expect.arrayContaining([...new Set(runs.map(({ exitCode }) => exitCode))]));
    expect(objectsOf(replica)).toEqual(objectsOf(join(directory, "repository")));
  });

  it("gets exit status 4 and the name of a backup that is damaged in its only copy", async () => {
    const { backup_id } = await site.json(created, ["create", "--storage", "local"]);
    const damaged = files(join(directory, "repository")).find(
      (file) => file.includes(backup_id.slice(0, 8)) && file.includes("tree.zst"),
    );
    writeFileSync(damaged ?? "", "damaged");

    const result = await site.json(replicated, ["replicate"], [4]);

    expect(result.storages[1]?.not_copied).toMatchObject([{ backup_id, error: { code: "BACKUP_CORRUPTED" } }]);
    expect((await site.run("verify", first, "--storage", "second")).exitCode).toBe(0);
  });
});

function files(folder: string): readonly string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name));
}

/** The SHA-256 of each object of backups, by key. Recovery files and markers are each storage's own. */
function objectsOf(folder: string): Readonly<Record<string, string>> {
  const objects = files(folder).filter((file) => file.slice(folder.length + 1).split("/").length === 5);
  const hash = (file: string) => createHash("sha256").update(readFileSync(file)).digest("hex");
  return Object.fromEntries(objects.sort().map((file) => [file.slice(folder.length + 1), hash(file)]));
}

it("an operator whose primary is not mounted gets exit status 3 and a backup in the replica, which the primary gets when it is back", async () => {
  const directory = tempDir();
  mkdirSync(join(directory, "www"));
  writeFileSync(join(directory, "www/large"), noise(2 ** 21));
  const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`, directory, { replica: true });
  const { backup_id: first } = await site.json(created, ["create"]);
  const [primary, hidden] = [join(directory, "repository"), join(directory, "unplugged")];
  renameSync(primary, hidden);
  mkdirSync(primary);
  writeFileSync(join(directory, "www/new"), noise(100_000, 2));

  const { exitCode, stderr } = await site.run("create", "--mode", "incremental");
  const { storages } = await site.json(created, ["create", "--mode", "incremental"], [3]);

  expect(exitCode).toBe(3);
  expect(stderr).toMatch(/storage "local" takes no part in this run: .*; the backup is made in "second"/);
  expect(stderr).toContain(`incremental on ${first.slice(0, 8)}`);
  expect(storages).toEqual([
    { name: "local", state: "pending" },
    { name: "second", state: "complete" },
  ]);
  expect(readdirSync(primary)).toEqual([]);
  rmSync(primary, { recursive: true });
  renameSync(hidden, primary);
  expect((await site.run("replicate")).exitCode).toBe(0);
  expect((await site.run("verify", "--all", "--storage", "local")).exitCode).toBe(0);
});
