import { DamagedCatalogError } from "../catalog/catalog.ts";
import { BackupctlError } from "../errors.ts";
import type { OperationContext } from "./context.ts";
import type { Operations } from "./operations.ts";
import { catalogAccess } from "./repository/catalog-access.ts";
import type { Setup } from "./repository/init.ts";
import type { Repository } from "./repository/repository.ts";
import type { Session } from "./session.ts";
import { asStateFailure } from "./state-failure.ts";

/**
 * The use cases over one session. Catalog and repository are opened by the first that needs them, and each use case is loaded
 * when it is called: `list` must not pay for what `create` needs.
 */
export async function openOperations(session: Session): Promise<Operations> {
  const { context, replaceCatalog, close } = makeContext(session);

  /** What can be repeated is done again where the catalog turns out damaged half way; restore and delete were planned before. */
  const mending = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await once(work);
    } catch (error) {
      if (!(error instanceof DamagedCatalogError)) throw error;
      await replaceCatalog(error.message);
      return once(work);
    }
  };
  const once = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      throw asStateFailure(error, session.loaded.config.stateDir);
    }
  };

  const operations: Operations = {
    init: async (request) => (await import("./repository/init.ts")).initialiseConfigured(session, request),
    planCreate: (request) => mending(async () => (await import("./create/create.ts")).planCreate(context, request)),
    create: (request) => mending(async () => (await import("./create/create.ts")).createBackup(context, request)),
    list: (request) => mending(async () => (await import("./list.ts")).listBackups(context, request)),
    show: (reference) => mending(async () => (await import("./show.ts")).showBackup(context, reference)),
    status: (reference) => mending(async () => (await import("./status.ts")).runStatus(context, reference)),
    verify: (request) => mending(async () => (await import("./verify/verify.ts")).verifyBackups(context, request)),
    planDelete: (request) => mending(async () => (await import("./delete/delete.ts")).planDelete(context, request)),
    delete: (request, plan) =>
      once(async () => (await import("./delete/delete.ts")).deleteBackups(context, request, plan)),
    planCleanup: () => mending(async () => (await import("./cleanup/plan.ts")).planCleanup(context)),
    cleanup: (request) => mending(async () => (await import("./cleanup/cleanup.ts")).cleanUp(context, request)),
    simulateCleanup: (lengthMs) =>
      mending(async () => (await import("./cleanup/simulate.ts")).simulateCleanup(context, lengthMs)),
    download: (request) =>
      mending(async () => (await import("./download/download.ts")).downloadBackup(context, request)),
    planRestore: (request) => mending(async () => (await import("./restore/plan.ts")).planRestore(context, request)),
    restore: (request, plan) =>
      once(async () => (await import("./restore/restore.ts")).restoreBackup(context, request, plan)),
    replicate: (request) =>
      mending(async () => (await import("./replicate/replicate.ts")).replicateBackups(context, request)),
    hold: (reference, reason) =>
      mending(async () => (await import("./hold.ts")).holdBackup(context, reference, reason)),
    unhold: (reference) => mending(async () => (await import("./hold.ts")).unholdBackup(context, reference)),
    rebuildCatalog: () =>
      mending(async () => (await import("./repository/rebuild-catalog.ts")).rebuildCatalog(context)),
    listStorages: () => once(async () => (await import("./storages/list.ts")).listStorages(context)),
    checkStorage: (request) => once(async () => (await import("./storages/check.ts")).checkStorage(context, request)),
    listSchedules: () => mending(async () => (await import("./schedules/list.ts")).listSchedules(context)),
    runSchedule: (request) =>
      once(async () => (await import("./schedules/run.ts")).runSchedule(context, operations, request)),
    serveSchedules: (request) =>
      once(async () => (await import("./schedules/daemon.ts")).serveSchedules(context, request)),
    installSchedules: (request) =>
      once(async () => (await import("./schedules/install.ts")).installSchedules(context, request)),
    uninstallSchedules: (request) =>
      once(async () => (await import("./schedules/install.ts")).uninstallSchedules(context, request)),
    validateConfig: async () => (await import("./config-report.ts")).reportConfig(context),
    close,
  };
  return operations;
}

/** The operations where there is no configuration yet: `init` makes one, everything else needs one. */
export function openSetup(setup: Setup): Operations {
  const refuse = async (): Promise<never> => {
    throw new BackupctlError("CONFIG_NOT_FOUND", "there is no configuration yet", {
      hint: "Run `backupctl init` to make one.",
    });
  };
  return {
    init: async (request) => (await import("./repository/init.ts")).initialiseAnew(setup, request),
    planCreate: refuse,
    create: refuse,
    list: refuse,
    show: refuse,
    status: refuse,
    verify: refuse,
    planDelete: refuse,
    delete: refuse,
    planCleanup: refuse,
    cleanup: refuse,
    simulateCleanup: refuse,
    download: refuse,
    planRestore: refuse,
    restore: refuse,
    replicate: refuse,
    hold: refuse,
    unhold: refuse,
    rebuildCatalog: refuse,
    listStorages: refuse,
    checkStorage: refuse,
    listSchedules: refuse,
    runSchedule: refuse,
    serveSchedules: refuse,
    installSchedules: refuse,
    uninstallSchedules: refuse,
    validateConfig: refuse,
    close: async () => undefined,
  };
}

/** The context of the use cases; `replaceCatalog` has the next use make the catalog anew, `close` closes everything. */
function makeContext(session: Session): {
  readonly context: OperationContext;
  replaceCatalog(damage: string): Promise<void>;
  close(): Promise<void>;
} {
  let repository: Promise<Repository> | undefined;
  const lazy = {
    open: (): Promise<Repository> => {
      repository ??= import("./repository/repository.ts").then(({ openRepository }) => openRepository(session));
      return repository;
    },
    get opened() {
      return repository;
    },
  };
  const access = catalogAccess(session, lazy);
  const others: (() => Promise<void>)[] = [];
  return {
    context: {
      session,
      repository: lazy.open,
      catalog: access.catalog,
      closeLater: (other) => void others.push(other),
    },
    replaceCatalog: access.replace,
    async close() {
      for (const other of others.splice(0)) await other();
      await access.close();
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
