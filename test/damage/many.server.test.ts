import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readStreamIndex, readTreeIndex } from "../../src/format/index-reader.ts";
import type { WrappingKey } from "../../src/format/keys-object.ts";
import { StoredDamage } from "../../src/format/pack-source.ts";
import type { ChunkRef } from "../../src/format/root.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { openRepository } from "../../src/operations/repository/repository.ts";
import { type FixtureSource, openFixture } from "../format/fixture-reader.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { suiteTempDir, withTempDir } from "../helpers/temp-dir.ts";
import { type Damage, directoryOf, flips, isPack, nameOf, randomDamage, sourceOf } from "./damage.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite, REPOSITORIES } from "./fixture-site.ts";
import { type Found, memoryVerifier } from "./memory-verifier.ts";

const DAMAGES = Number(process.env.BACKUPCTL_DAMAGES ?? 400);
const SEED = Number(process.env.BACKUPCTL_SEED);

/** Packs are looked at each for itself: so many of them may be damaged at a time. */
const AT_A_TIME = 8;

describe.each(REPOSITORIES)("in %s each of many damages", { timeout: 36_000_000 }, (name) => {
  const directory = suiteTempDir();
  let site: FixtureSite;
  let keys: readonly WrappingKey[];
  let pool: WorkerPool;
  beforeAll(async () => {
    site = await openFixtureSite(name, directory);
    const repository = await openRepository(site.session);
    keys = repository.keys;
    await repository.close();
    pool = new WorkerPool(1);
  });
  afterAll(() => pool.close());

  it("is found by verify, which names the object and its source", async () => {
    const verify = await memoryVerifier(site);
    const random = randomNumbers(SEED);
    for (let done = 0; done < DAMAGES; ) {
      const backup = site.backups[random(site.backups.length)];
      if (backup === undefined) throw new Error("there are no backups");
      const damages = someDamages(backup, random);
      expectNamed(damages, backup, await verify(damages, backup));
      done += damages.length;
    }
  });

  it("is found in whatever bit of metadata, keys and notes it is", async () => {
    const verify = await memoryVerifier(site, { quick: true });
    const backup = site.backups.at(-1);
    if (backup === undefined) throw new Error("there are no backups");
    const own = [...site.objects.keys()].filter(
      (key) => key.startsWith(`${backup.directory}/`) && key.endsWith(".json"),
    );
    for (const damage of own.flatMap((key) => flips(site.objects, key, DAMAGES))) {
      expectNamed([damage], backup, await verify([damage], backup));
    }
  });

  it("keeps src/format from giving anything but what was stored", async () => {
    const random = randomNumbers(SEED + 1);
    const packs = new Map([...site.objects].filter(([key]) => isPack(key)));
    const sound = new Map<string, string>();
    for (let i = 0; i < DAMAGES; i++) {
      const damage = randomDamage(packs, random);
      const object = nameOf(damage);
      const heirs = site.backups.filter(({ lineage }) => lineage.includes(directoryOf(damage)));
      const backup = heirs[random(heirs.length)];
      if (backup === undefined) continue;
      const wanted = { backup, source: sourceOf(object) };
      const content = sound.get(`${backup.id} ${wanted.source}`) ?? (await read(wanted));
      sound.set(`${backup.id} ${wanted.source}`, content);
      site.store(damage.key, damage.bytes);
      expect([content, `damaged: ${object}`], `${damage.what}, seen by ${backup.id}`).toContain(await read(wanted));
      site.store(damage.key, site.objects.get(damage.key));
    }
  });

  /** Several packs of the lineage, or one of the other objects, without which nothing more is looked at. */
  function someDamages({ lineage }: FixtureBackup, random: (limit: number) => number): readonly Damage[] {
    const seen = [...site.objects].filter(([key]) => lineage.some((path) => key.startsWith(`${path}/`)));
    const packs = random(2) === 0;
    const objects = new Map(seen.filter(([key]) => isPack(key) === packs));
    const count = packs ? AT_A_TIME : 1;
    const damages = Array.from({ length: count }, () => randomDamage(objects, random));
    return [...new Map(damages.map((damage) => [damage.key, damage])).values()];
  }

  function expectNamed(damages: readonly Damage[], backup: FixtureBackup, { issues, code, states }: Found): void {
    const said = damages.map(({ what }) => what).join("; ");
    for (const damage of damages) {
      const isOwn = directoryOf(damage) === backup.directory;
      const object = nameOf(damage);
      if (!isOwn && object.startsWith("notes-")) continue;
      expect(issues.join("\n"), `${said}, seen by ${backup.id}`).toContain(object);
      if (isPack(object)) expect(states, `${said}, seen by ${backup.id}`).toContain("failed");
    }
    expect([undefined, "ENCRYPTION_KEY_NOT_FOUND", "BACKUP_CORRUPTED"]).toContain(code);
  }

  /** What an exact reading gives, or which object is damaged. */
  async function read({
    backup,
    source,
  }: {
    readonly backup: FixtureBackup;
    readonly source: string;
  }): Promise<string> {
    try {
      return await withTempDir(async (temporary) => {
        const opened = await openFixture(site.repository, backup.directory, { keys, pool });
        return contentOf(await opened.source(source, temporary));
      });
    } catch (error) {
      if (error instanceof StoredDamage) return `damaged: ${error.objectName}`;
      throw error;
    }
  }
});

async function contentOf({ metadata, indexFile, bytes }: FixtureSource): Promise<string> {
  const chunks: ChunkRef[] = [];
  if (metadata.kind === "tree") for (const entry of readTreeIndex(indexFile)) chunks.push(...entry.chunks);
  else chunks.push(...readStreamIndex(indexFile, metadata.kind).chunks);
  return createHash("sha256")
    .update(await bytes(chunks))
    .digest("hex");
}
