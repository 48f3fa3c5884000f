import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, it } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { openRepository } from "../../src/operations/repository/repository.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite } from "./fixture-site.ts";

/** More than Node reads at once, and none of it on the disk. */
const GROWN_BYTES = 2 ** 31;
const STRANGE = "full/daily/2020-01-01/full-00-00-00-00000000";

/** Whoever can write to the storage, or a file system that broke, can make an object of any size. */
describe.each(["sealed-zstd", "proven-none"] as const)("in %s an object that has grown to 2 GiB", (name) => {
  const directory = suiteTempDir();
  let site: FixtureSite;
  let full: FixtureBackup;
  let last: FixtureBackup;
  beforeAll(async () => {
    site = await openFixtureSite(name, directory);
    const [first] = site.backups;
    const [newest] = site.backups.slice(-1);
    if (first === undefined || newest === undefined) throw new Error("there are no backups");
    [full, last] = [first, newest];
  });

  async function withGrown<T>(
    keys: string | readonly string[],
    use: (operations: Operations) => Promise<T>,
  ): Promise<T> {
    const files = [keys].flat().map((key) => path.join(site.repository, key));
    return await site.withDamage(async (operations) => {
      for (const file of files) {
        fs.mkdirSync(path.dirname(file), { recursive: true });
        fs.appendFileSync(file, "");
        fs.truncateSync(file, GROWN_BYTES);
      }
      try {
        return await use(operations);
      } finally {
        for (const file of files) fs.rmSync(file);
      }
    });
  }

  const find = (backup: FixtureBackup, part: string): string =>
    [...site.objects.keys()].find((key) => key.startsWith(`${backup.directory}/`) && key.includes(part)) ?? "";

  async function issuesOf(operations: Operations, reference?: string): Promise<string> {
    const all = reference === undefined;
    const { backups } = await operations.verify({ reference, all, deep: false, quick: all, components: [] });
    return backups.flatMap(({ issues }) => issues).join("\n");
  }

  it("in a strange directory keeps no backup from being listed, verified and restored", async () => {
    const names = ["metadata.json", "SHA256SUMS", "keys-1-00000000.json", "notes-1-00000000.json"];
    const keys = names.map((object) => `${STRANGE}/${object}`);
    const { rebuilt, listed, issues, restored } = await withGrown(keys, async (operations) => ({
      rebuilt: await operations.rebuildCatalog(),
      listed: await operations.list({ limit: 100, offset: 0 }),
      issues: await issuesOf(operations),
      restored: await site.restore(operations, full),
    }));

    expect(rebuilt.damaged.join("\n")).toContain(`of ${STRANGE} is damaged`);
    expect(rebuilt.found).toBe(site.backups.length);
    expect(listed.backups.filter(({ trusted }) => trusted)).toHaveLength(site.backups.length);
    expect(listed.backups.filter(({ status }) => status === "unreadable")).toHaveLength(1);
    expect(issues).toMatch(new RegExp(`^metadata\\.json of ${STRANGE} is damaged: [^\n]*$`));
    expect(restored.error).toBeUndefined();
  });

  it("as metadata.json is damage of its backup, which the others come back without", async () => {
    const key = `${last.directory}/metadata.json`;
    const { rebuilt, issues, restored } = await withGrown(key, async (operations) => ({
      issues: await issuesOf(operations, last.id),
      restored: await site.restore(operations, full),
      rebuilt: await operations.rebuildCatalog(),
    }));

    expect(issues).toContain(`metadata.json of ${last.directory} is damaged: it is larger than 64 MiB`);
    expect(restored.error).toBeUndefined();
    expect(rebuilt.found).toBe(site.backups.length - 1);
  });

  it("as SHA256SUMS is named", async () => {
    const key = `${last.directory}/SHA256SUMS`;
    const { issues, restored } = await withGrown(key, async (operations) => ({
      issues: await issuesOf(operations, last.id),
      restored: await site.restore(operations, last),
    }));

    expect(issues).toContain(`${key} does not match the checksum in metadata.json`);
    if (name === "proven-none")
      expect(restored).toMatchObject({ isUntouched: true, error: { code: "BACKUP_CORRUPTED" } });
    else expect(restored.error).toBeUndefined();
  });

  it("as a pack is named, and verify goes on", async () => {
    const key = find(last, ".root.");
    const issues = await withGrown(key, (operations) => issuesOf(operations, last.id));

    expect(issues).toContain(`${key} does not match SHA256SUMS`);
    expect(issues).toContain(`${key} has ${GROWN_BYTES} bytes instead of`);
  });

  it("as notes is named, and lets nothing go", async () => {
    const object = "notes-9-00000000.json";
    const issues = await withGrown(`${last.directory}/${object}`, (operations) => issuesOf(operations, last.id));

    expect(issues).toContain(object);
    expect(issues).toContain("is larger than 1 MiB");
  });

  it("as a keys object is named, and the next opens the backup", async () => {
    const object = "keys-9-00000000.json";
    const { issues, restored } = await withGrown(`${last.directory}/${object}`, async (operations) => ({
      issues: await issuesOf(operations, last.id),
      restored: await site.restore(operations, last),
    }));

    expect(issues).toContain(`${object} is damaged: it is larger than 1 MiB`);
    expect(restored.error).toBeUndefined();
  });

  it("as the marker is refused", async () => {
    const file = path.join(site.repository, "backupctl.json");
    const sound = fs.readFileSync(file);
    fs.truncateSync(file, GROWN_BYTES);
    const refused = await openRepository(site.session).catch((error: unknown) => error);
    fs.writeFileSync(file, sound);

    const message = 'backupctl.json of storage "disk" is damaged: it is larger than 1 MiB';
    expect(refused).toMatchObject({ code: "BACKUP_CORRUPTED", message });
  });
});
