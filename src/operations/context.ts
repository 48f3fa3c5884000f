import type { Catalog } from "../catalog/catalog.ts";
import type { Repository } from "./repository/repository.ts";
import type { Session } from "./session.ts";

/** What every use case is given. Both are opened at their first use, once, and closed by `Operations.close`. */
export interface OperationContext {
  readonly session: Session;
  /** @throws `REPOSITORY_NOT_INITIALIZED`, `REPOSITORY_MISMATCH`, and what its storage and keys throw. */
  repository(): Promise<Repository>;
  /**
   * The catalog of this repository. Missing, damaged, emptied or another repository's, it is made anew from the storage first, with a
   * warning. `read` opens nothing but the file as long as that is sound; `write` binds a new one to the repository. Where the file
   * can't be used at all, what the storages hold is put where it lasts for this run, with a warning. `keep` is for who fills it: it is not made anew before, and `CATALOG_FAILED` is thrown then.
   */
  catalog(mode: CatalogMode): Promise<Catalog>;
  /** Has something closed by `Operations.close`. It may have been closed before. */
  closeLater(close: () => Promise<void>): void;
}

export type CatalogMode = "read" | "write" | "keep";
