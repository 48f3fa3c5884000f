import { onTestFinished } from "vitest";
import { openSqliteCatalog } from "../../src/catalog/sqlite/open.ts";
import { isBackupctlError } from "../../src/errors.ts";
import type { CheckState } from "../../src/operations/operations.ts";
import { openRepository } from "../../src/operations/repository/repository.ts";
import { statePaths } from "../../src/operations/session.ts";
import { verifyBackup } from "../../src/operations/verify/backup.ts";
import { memoryStorage } from "../helpers/memory-storage.ts";
import type { Damage } from "./damage.ts";
import type { FixtureBackup, FixtureSite } from "./fixture-site.ts";

export interface Found {
  readonly issues: readonly string[];
  /** Of each component that was looked at. */
  readonly states: readonly CheckState[];
  readonly code: string | undefined;
}

/** Verifies backups of a site whose objects lie in memory, some of them damaged. What is found is recorded nowhere. */
export async function memoryVerifier(
  site: FixtureSite,
  { quick = false }: { readonly quick?: boolean } = {},
): Promise<(damages: readonly Damage[], backup: FixtureBackup) => Promise<Found>> {
  const { session } = site;
  const catalog = openSqliteCatalog({ file: (await statePaths(session)).catalog, warn: () => undefined });
  const known = new Map(catalog.list({}).backups.map((backup) => [backup.id as string, backup]));
  // A row reads its metadata when they are asked for.
  onTestFinished(() => catalog.close());
  const repository = await openRepository(session);
  await repository.close();
  const modifiedAt = session.clock.now();
  const request = { all: false, deep: false, quick, components: [] };

  return async (damages, { id }) => {
    const objects = new Map([...site.objects].map(([key, bytes]) => [key, { bytes, modifiedAt }]));
    for (const { key, bytes } of damages) {
      if (bytes === undefined) objects.delete(key);
      else objects.set(key, { bytes, modifiedAt });
    }
    const storage = memoryStorage({ name: repository.primaryName, objects });
    const damaged = { ...repository, primary: storage, storage: async () => storage };
    const unused = () => Promise.reject(new Error("unused"));
    const context = { session, repository: async () => damaged, catalog: unused, closeLater: () => undefined };
    const backup = known.get(id);
    if (backup === undefined) throw new Error(`the catalog does not know ${id}`);
    const verifying = {
      context,
      repository: damaged,
      storage,
      request,
      single: true,
      directories: new Map(),
      glances: new Map(),
      known: (wanted: string) => known.get(wanted),
    };
    try {
      const { verification } = await verifyBackup(verifying, backup);
      const states = Object.values(verification.components).map(({ status }) => status);
      return { issues: verification.issues, states, code: undefined };
    } catch (error) {
      if (!isBackupctlError(error)) throw error;
      return { issues: [error.message], states: [], code: error.code };
    }
  };
}
