import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBackupctlError } from "../../src/errors.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { databasesOf, rowsOf } from "../engines/postgres/subject.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { restore } from "../operations/restore/tools.ts";
import { type PostgresServer, startPostgres } from "../servers/postgres.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { type Damage, directoryOf, randomDamage } from "./damage.ts";
import { type FixtureSite, openFixtureSite } from "./fixture-site.ts";

const DAMAGES = Number(process.env.BACKUPCTL_DAMAGES ?? 10);
const SEED = Number(process.env.BACKUPCTL_SEED);

describe.runIf(requireOrSkip("postgres"))("a database whose backup is damaged", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  let server: PostgresServer;
  let site: FixtureSite;
  beforeAll(async () => {
    server = await startPostgres();
    const place = `host: ${server.host}, port: ${server.port}, user: ${server.user}, bin_directory: ${server.binDir}`;
    const sources = `sources:\n  shop: {engine: postgres, ${place}, databases: [shop]}\n`;
    site = await openFixtureSite("sealed-zstd", directory, sources);
  });
  afterAll(async () => await server?.stop());

  it("comes back as it was, or stays as it is with the damaged object named", async () => {
    const random = randomNumbers(SEED);
    const packs = new Map([...site.objects].filter(([key]) => key.includes("/shop.")));
    const rows = new Map<string, readonly string[]>();
    for (let i = 0; i < DAMAGES; i++) {
      const damage = randomDamage(packs, random);
      const heirs = site.backups.filter(({ lineage }) => lineage.includes(directoryOf(damage)));
      const backup = heirs[random(heirs.length)];
      if (backup === undefined) continue;
      const sound = rows.get(backup.id) ?? (await restored(backup.id));
      rows.set(backup.id, sound);

      await putAnother();
      const error = await restored(backup.id, damage).catch((thrown: unknown) => thrown);

      if (Array.isArray(error)) {
        expect(error, damage.what).toEqual(sound);
        continue;
      }
      expect(isBackupctlError(error, "BACKUP_CORRUPTED"), `${damage.what}: ${error}`).toBe(true);
      expect(String(error)).toContain(damage.key.split("/").at(-1));
      expect(await databasesOf(server), damage.what).toEqual(["postgres", "shop"]);
      expect(await rowsOf(server, "shop"), damage.what).toEqual(["public.theirs:", "(1)", ""]);
    }
  });

  /** What lies where the backup goes. */
  async function putAnother(): Promise<void> {
    await server.sql("postgres", "drop database if exists shop");
    await server.createDatabase("shop");
    await server.sql("shop", "create table theirs (id int); insert into theirs values (1)");
  }

  /** The rows after a restore in place. */
  async function restored(reference: string, damage?: Damage): Promise<readonly string[]> {
    await site.withDamage(async (operations: Operations) => {
      if (damage !== undefined) site.store(damage.key, damage.bytes);
      await restore(operations, { reference, sources: ["shop"], dropExisting: true });
    });
    return rowsOf(server, "shop");
  }
});
