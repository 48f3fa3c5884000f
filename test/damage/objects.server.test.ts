import { beforeAll, describe, expect, it } from "vitest";
import { isBackupctlError, messageOf } from "../../src/errors.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type Damage, directoryOf, isPack, nameOf, opensAllTheSame, randomDamage, sourceOf } from "./damage.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite, REPOSITORIES, type Restored } from "./fixture-site.ts";

const DAMAGES = Number(process.env.BACKUPCTL_DAMAGES ?? 10);
const SEED = Number(process.env.BACKUPCTL_SEED);

describe.each(REPOSITORIES)("in %s any object that is damaged", (name) => {
  const directory = suiteTempDir();
  const sound = new Map<string, Restored["contents"]>();
  let site: FixtureSite;
  beforeAll(async () => {
    site = await openFixtureSite(name, directory);
    for (const backup of site.backups) {
      const restored = await site.withDamage((operations) => site.restore(operations, backup));
      sound.set(backup.id, restored.contents);
    }
  }, 600_000);

  it("is found and named by verify and by restore, and keeps no other source from coming back", {
    timeout: 36_000_000,
  }, async () => {
    const random = randomNumbers(SEED);
    for (let i = 0; i < DAMAGES; i++) {
      const damage = randomDamage(site.objects, random);
      const heirs = site.backups.filter(({ lineage }) => lineage.includes(directoryOf(damage)));
      const backup = heirs[random(heirs.length)];
      if (backup !== undefined) await expectFound(damage, backup);
    }
  });

  /** Without an ancestor's key only that comes back which needs no block of it. */
  function expectPart(backup: FixtureBackup, { contents }: Restored): void {
    for (const source of backup.restorable) {
      const whole = sound.get(backup.id)?.[source]?.split("\n");
      for (const entry of contents[source]?.split("\n").filter(Boolean) ?? []) expect(whole).toContain(entry);
    }
  }

  async function expectFound(damage: Damage, backup: FixtureBackup): Promise<void> {
    const run = <T>(use: (operations: Operations) => Promise<T>): Promise<T> =>
      site.withDamage((operations) => {
        site.store(damage.key, damage.bytes);
        return use(operations);
      });
    const isOwn = directoryOf(damage) === backup.directory;
    const object = nameOf(damage);
    try {
      const found = await run((operations) => issuesOf(operations, backup));
      if (isOwn || !isAside(object)) expect(found).toContain(object);

      const restored = await run((operations) => site.restore(operations, backup));
      if (isOwn && isNeeded(object, backup) && !opensAllTheSame(damage, site.objects))
        expect(restored.error).toBeDefined();
      if (restored.error === undefined) return expect(restored.contents).toEqual(sound.get(backup.id));
      expect(restored).toMatchObject({ isUntouched: true, error: { code: "BACKUP_CORRUPTED", exitCode: 4 } });
      expect(messageOf(restored.error)).toContain(object);

      if (isOwn && !isPack(object) && object !== "SHA256SUMS") return;
      const rest = await run((operations) => site.restore(operations, backup, { skipDamaged: true }));
      if (object.startsWith("keys")) return expectPart(backup, rest);
      const others = backup.restorable.filter((source) => source !== sourceOf(object));
      if (others.length > 0) expect(rest.error).toBeUndefined();
      for (const source of others) expect(rest.contents[source]).toBe(sound.get(backup.id)?.[source]);
    } catch (cause) {
      throw new Error(`${damage.what}, seen by the ${backup.mode} ${backup.id}`, { cause });
    }
  }
});

async function issuesOf(operations: Operations, backup: FixtureBackup): Promise<string> {
  try {
    const request = { reference: backup.id, all: false, deep: false, quick: false, components: [] };
    const { backups, passed } = await operations.verify(request);
    return passed ? "passed" : backups.flatMap(({ issues }) => issues).join("\n");
  } catch (error) {
    if (!isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
    return error.message;
  }
}

/** Notes are facts about one backup, which no descendant needs. */
function isAside(object: string): boolean {
  return object.startsWith("notes-");
}

/** Of data and indexes only the blocks are read that hold what is wanted: a header may be damaged, and all that comes back be right. */
function isNeeded(object: string, backup: FixtureBackup): boolean {
  if (isPack(object)) return object.includes(".root.") && backup.restorable.includes(sourceOf(object));
  return object === "metadata.json" || object === backup.directory || object.startsWith("keys");
}
