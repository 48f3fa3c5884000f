import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, it } from "vitest";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { type CliResult, runCli } from "../helpers/run-cli.ts";
import { said } from "../helpers/said.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { type Damage, directoryOf, isPack, nameOf, randomDamage, sourceOf } from "./damage.ts";
import { contentsOf, type FixtureBackup, type FixtureSite, openFixtureSite, REPOSITORIES } from "./fixture-site.ts";

const DAMAGES = Math.ceil(Number(process.env.BACKUPCTL_DAMAGES ?? 10) / 5);
const SEED = Number(process.env.BACKUPCTL_SEED);

/** A few of the damages of objects.server.test.ts once more, seen by who types the commands. */
describe.each(REPOSITORIES)("a damaged pack in %s", (name) => {
  it("is named with its source and exit status 4, and nothing but the other sources comes back", {
    timeout: 36_000_000,
  }, async () => {
    const site = await openFixtureSite(name, tempDir());
    const packs = new Map([...site.objects].filter(([key]) => isPack(key)));
    const random = randomNumbers(SEED);
    for (let i = 0; i < DAMAGES; i++) {
      const damage = randomDamage(packs, random);
      const heirs = site.backups.filter(({ lineage, restorable }) => {
        return lineage.includes(directoryOf(damage)) && restorable.includes(sourceOf(nameOf(damage)));
      });
      const backup = heirs[random(heirs.length)];
      if (backup === undefined) continue;
      const sound = await restored(site, backup, []);
      await site.withDamage(async () => {
        site.store(damage.key, damage.bytes);
        await said(`${damage.what}, seen by the ${backup.mode} ${backup.id}`, () =>
          expectNamed(site, backup, damage, sound),
        );
      });
    }
  });
});

async function expectNamed(site: FixtureSite, backup: FixtureBackup, damage: Damage, sound: Restored): Promise<void> {
  const source = sourceOf(nameOf(damage));

  const verified = await run(site, "verify", backup.id);
  const whole = await restored(site, backup, []);
  const rest = await restored(site, backup, ["--skip-damaged"]);

  expect(verified).toMatchObject({ exitCode: 4, stdout: expect.stringContaining(nameOf(damage)) });
  expect(verified.stdout).toContain(source);
  // Only the blocks are read that hold what is wanted: a header may be damaged, and all that comes back be right.
  if (whole.exitCode === 0) return expect(whole.contents).toEqual(sound.contents);
  expect(whole).toMatchObject({ exitCode: 4, isUntouched: true });
  expect(whole.stderr).toContain("error: BACKUP_CORRUPTED: ");
  expect(whole.stderr).toContain(nameOf(damage));
  expect(whole.stderr).toContain(source);
  const others = backup.restorable.filter((other) => other !== source);
  for (const other of others) expect(rest.contents[other], other).toBe(sound.contents[other]);
}

interface Restored extends CliResult {
  readonly contents: Readonly<Record<string, string>>;
  readonly isUntouched: boolean;
}

/** Into folders of a new place. */
async function restored(site: FixtureSite, backup: FixtureBackup, options: readonly string[]): Promise<Restored> {
  const around = tempDir();
  const to = path.join(around, "to");
  const sources = backup.restorable.flatMap((source) => ["--source", source]);
  const result = await run(site, "restore", backup.id, ...sources, "--to", to, "--yes", ...options);
  return { ...result, contents: contentsOf(to, backup.restorable), isUntouched: fs.readdirSync(around).length === 0 };
}

function run(site: FixtureSite, ...args: string[]): Promise<CliResult> {
  return runCli([...args, "--config", site.configFile], { home: path.dirname(site.configFile) });
}
