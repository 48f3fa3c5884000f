import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import { namesWithoutArchives, type Session, storageNames } from "../session.ts";
import { fillCatalog } from "./rebuild-catalog.ts";
import type { Repository } from "./repository.ts";
import { scanRepository } from "./scan-repository.ts";
import { unreadableIn } from "./unreadable-backups.ts";

/**
 * Those of which the catalog knows only that they can't be read, after another look: what was put right, or removed by hand, is taken
 * over. Of archives, which may lie in a drawer, only those are asked that have one of them.
 */
export async function lookAtUnreadable(
  session: Session,
  repository: Repository,
  catalog: Catalog,
): Promise<readonly CatalogBackup[]> {
  const known = unreadableIn(catalog);
  if (known.length === 0) return known;
  const others = namesWithoutArchives(session);
  const holders = new Set(known.flatMap(({ copies }) => copies.map(({ storage }) => storage)));
  const { unreadable } = await scanRepository(session, repository, {
    directories: known.map(({ storagePath }) => storagePath),
    storages: storageNames(session).filter((name) => others.includes(name) || holders.has(name)),
  });
  if (unreadable.length === known.length) return known;
  await fillCatalog(session, repository, catalog);
  return unreadableIn(catalog);
}
