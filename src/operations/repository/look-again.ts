import type { Catalog, CatalogBackup } from "../../catalog/catalog.ts";
import type { Session } from "../session.ts";
import { fillCatalog } from "./rebuild-catalog.ts";
import type { Repository } from "./repository.ts";
import { scanRepository } from "./scan-repository.ts";
import { unreadableIn } from "./unreadable-backups.ts";

/**
 * Those of which the catalog knows only that they can't be read, after another look: what was put right, or removed by hand, is taken
 * over.
 */
export async function lookAtUnreadable(
  session: Session,
  repository: Repository,
  catalog: Catalog,
): Promise<readonly CatalogBackup[]> {
  const known = unreadableIn(catalog);
  if (known.length === 0) return known;
  const { unreadable } = await scanRepository(session, repository, {
    directories: known.map(({ storagePath }) => storagePath),
  });
  if (unreadable.length === known.length) return known;
  await fillCatalog(session, repository, catalog);
  return unreadableIn(catalog);
}
