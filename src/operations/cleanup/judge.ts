import type { CatalogBackup } from "../../catalog/catalog.ts";
import type { StorageConfig } from "../../config/config.ts";
import type { BackupId } from "../../domain/backup.ts";
import * as cleanup from "../../domain/retention/cleanup.ts";
import { decideRetention } from "../../domain/retention/decide.ts";
import type { Session } from "../session.ts";

/** What the configuration lets go from one storage now, if nothing is locked there. */
export function goingFrom(
  session: Session,
  { name, retention }: StorageConfig,
  backups: readonly CatalogBackup[],
): readonly CatalogBackup[] {
  const verdicts = decideRetention({ ...rulesOf(session), backups, storage: name, policy: retention });
  return verdicts.flatMap(({ keep, backup }) => (keep ? [] : [backup]));
}

/** The backups that a storage is to have. */
export function expectedIn(
  session: Session,
  { name, retention }: StorageConfig,
  backups: readonly CatalogBackup[],
): ReadonlySet<BackupId> {
  return cleanup.expectedIn({ name, policy: retention }, backups, rulesOf(session));
}

export function rulesOf({ loaded, clock }: Session): cleanup.Rules {
  const { sources, timezone } = loaded.config;
  return { sources: sources.map(({ name }) => name), timezone, now: clock.now() };
}

export function placeOf(
  { name, retention, role }: StorageConfig,
  backups: readonly CatalogBackup[],
): cleanup.Place<CatalogBackup> {
  return { name, policy: retention, isArchive: role === "archive", backups };
}
