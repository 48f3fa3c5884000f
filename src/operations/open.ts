import { BackupctlError, isBackupctlError } from "../errors.ts";
import { catalogAccess } from "./catalog-access.ts";
import type { OperationContext } from "./context.ts";
import type { Setup } from "./init.ts";
import type { Operations } from "./operations.ts";
import { openRepository, type Repository } from "./repository.ts";
import type { Session } from "./session.ts";

/**
 * The use cases over one session. Catalog and repository are opened by the first that needs them, and each use case is loaded
 * when it is called: `list` must not pay for what `create` needs.
 */
export async function openOperations(session: Session): Promise<Operations> {
  const { context, discard, close } = makeContext(session);

  /** A catalog that turns out damaged half way is set aside at the next opening; who only reads can simply try again. */
  const reading = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (!isBackupctlError(error, "CATALOG_FAILED") || error.retryable) throw error;
      session.logger.warn(`${error.message}; trying again with a catalog made anew`);
      await discard();
      return work();
    }
  };

  return {
    init: async (request) => (await import("./init.ts")).initialiseConfigured(session, request),
    planCreate: async (request) => (await import("./create.ts")).planCreate(context, request),
    create: async (request) => (await import("./create.ts")).createBackup(context, request),
    list: (request) => reading(async () => (await import("./list.ts")).listBackups(context, request)),
    show: (reference) => reading(async () => (await import("./show.ts")).showBackup(context, reference)),
    status: (reference) => reading(async () => (await import("./status.ts")).runStatus(context, reference)),
    verify: (request) => reading(async () => (await import("./verify.ts")).verifyBackups(context, request)),
    planDelete: (request) => reading(async () => (await import("./delete.ts")).planDelete(context, request)),
    delete: async (request) => (await import("./delete.ts")).deleteBackups(context, request),
    download: async (request) => (await import("./download.ts")).downloadBackup(context, request),
    planRestore: (request) => reading(async () => (await import("./restore-plan.ts")).planRestore(context, request)),
    restore: async (request, plan) => (await import("./restore.ts")).restoreBackup(context, request, plan),
    hold: async (reference, reason) => (await import("./hold.ts")).holdBackup(context, reference, reason),
    unhold: async (reference) => (await import("./hold.ts")).unholdBackup(context, reference),
    rebuildCatalog: async () => (await import("./rebuild-catalog.ts")).rebuildCatalog(context),
    validateConfig: async () => (await import("./config-report.ts")).reportConfig(context),
    close,
  };
}

/** The operations where there is no configuration yet: `init` makes one, everything else needs one. */
export function openSetup(setup: Setup): Operations {
  const refuse = async (): Promise<never> => {
    throw new BackupctlError("CONFIG_NOT_FOUND", "there is no configuration yet", {
      hint: "Run `backupctl init` to make one.",
    });
  };
  return {
    init: async (request) => (await import("./init.ts")).initialiseAnew(setup, request),
    planCreate: refuse,
    create: refuse,
    list: refuse,
    show: refuse,
    status: refuse,
    verify: refuse,
    planDelete: refuse,
    delete: refuse,
    download: refuse,
    planRestore: refuse,
    restore: refuse,
    hold: refuse,
    unhold: refuse,
    rebuildCatalog: refuse,
    validateConfig: refuse,
    close: async () => undefined,
  };
}

/** The context of the use cases; `discard` closes the catalog for it to be opened anew, `close` everything. */
function makeContext(session: Session): {
  readonly context: OperationContext;
  discard(): Promise<void>;
  close(): Promise<void>;
} {
  let repository: Promise<Repository> | undefined;
  const lazy = {
    open: (): Promise<Repository> => {
      repository ??= openRepository(session);
      return repository;
    },
    get opened() {
      return repository;
    },
  };
  const access = catalogAccess(session, lazy);
  return {
    context: { session, repository: lazy.open, catalog: access.catalog },
    discard: access.discard,
    async close() {
      await access.discard();
      const opened = repository;
      repository = undefined;
      // What could not be opened was thrown where it was asked for; there is nothing to close.
      await opened?.then(
        (value) => value.close(),
        () => undefined,
      );
    },
  };
}
