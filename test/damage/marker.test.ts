import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { decodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { openOperations } from "../../src/operations/open.ts";
import { flipped } from "../helpers/bytes.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { openFixtureSite, REPOSITORIES } from "./fixture-site.ts";

const RECOVER = path.join(import.meta.dirname, "../../recovery/recover.mjs");

const REFUSALS = ["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT"];

it("a marker with any bit flipped is refused, is of another repository, or was made at another time", async () => {
  const { repository, backups, ...site } = await openFixtureSite("sealed-zstd", tempDir());
  const file = path.join(repository, "backupctl.json");
  const sound = fs.readFileSync(file);
  const { repositoryId } = decodeRepositoryMarker(sound, "disk");
  const outcomes = new Map<string, number>();
  for (let bit = 0; bit < sound.length * 8; bit++) {
    const outcome = outcomeOf(flipped(sound, bit), repositoryId);
    // One of each kind is looked at from end to end.
    if (!outcomes.has(outcome)) outcomes.set(outcome, bit);
  }
  expect([...outcomes.keys()].sort()).toEqual(["BACKUP_CORRUPTED", "UNSUPPORTED_FORMAT", "another", "the same"]);

  const [backup] = backups;
  if (backup === undefined) throw new Error("there are no backups");
  for (const [outcome, bit] of outcomes) {
    const operations = await openOperations(site.session);
    fs.writeFileSync(file, flipped(sound, bit));
    const { error, isUntouched } = await site.restore(operations, backup);
    await operations.close();
    if (outcome === "the same") expect(error).toBeUndefined();
    else
      expect({ error, isUntouched }).toMatchObject({ isUntouched: true, error: { code: expect.toBeOneOf(REFUSALS) } });
  }
});

it.each(REPOSITORIES)("a lost marker is said to be lost, and init writes it again: %s", async (name) => {
  const { repository, configFile, backups, ...site } = await openFixtureSite(name, tempDir());
  const file = path.join(repository, "backupctl.json");
  const { repositoryId } = decodeRepositoryMarker(fs.readFileSync(file), "disk");
  fs.rmSync(file);

  const before = await openOperations(site.session);
  await expect(before.rebuildCatalog()).rejects.toMatchObject({
    code: "REPOSITORY_NOT_INITIALIZED",
    message: 'storage "disk" has lost its marker backupctl.json; its backups are there',
    hint: expect.stringContaining("backupctl init"),
  });
  const initialised = await before.init({ configPath: undefined, storagePath: undefined });
  await before.close();
  expect(initialised).toMatchObject({ repositoryId, storages: [{ name: "disk", created: false }] });

  const operations = await openOperations(site.session);
  expect(await operations.rebuildCatalog()).toMatchObject({ damaged: [] });
  expect((await operations.list({ limit: 100, offset: 0 })).total).toBe(backups.length);
  const all = { all: true, deep: false, quick: false, components: [] };
  expect((await operations.verify(all)).backups.flatMap(({ issues }) => issues)).toEqual([]);
  for (const backup of backups.filter(({ restorable }) => restorable.length > 0)) {
    const { error, contents } = await site.restore(operations, backup);
    expect(error).toBeUndefined();
    expect(Object.values(contents)).not.toContain("");
  }
  await operations.close();

  const keyFile = path.join(tempDir(), "key");
  const key = /key: (\w+)/.exec(fs.readFileSync(configFile, "utf8"))?.[1];
  fs.writeFileSync(keyFile, key ?? "");
  const keyGiven = key === undefined ? [] : ["--key-file", keyFile];
  const listed = spawnSync(process.execPath, [RECOVER, "list", repository, ...keyGiven], { encoding: "utf8" });
  expect(listed).toMatchObject({ status: 0, stderr: "" });
  expect(listed.stdout).not.toContain("DAMAGED");
  expect(listed.stdout).toContain(`${backups.length} backups`);
});

function outcomeOf(bytes: Buffer, repositoryId: string): string {
  try {
    return decodeRepositoryMarker(bytes, "disk").repositoryId === repositoryId ? "the same" : "another";
  } catch (error) {
    return error instanceof Error && "code" in error ? String(error.code) : String(error);
  }
}
