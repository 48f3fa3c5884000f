import type { BackupFilter, Catalog, CatalogBackup } from "../catalog/catalog.ts";
import { MODES, STATUSES } from "../domain/backup.ts";
import { parseTimeRange } from "../domain/timestamp.ts";
import { BackupctlError } from "../errors.ts";
import type { OperationContext } from "./context.ts";
import type { BackupSummary, ListRequest, ListResult } from "./operations.ts";
import { summaryOf } from "./repository/backup-summary.ts";
import { findDeadRows } from "./repository/dead-rows.ts";
import type { Session } from "./session.ts";

/**
 * A page of backups, newest first. Reads the catalog only. @throws `USAGE` for a page, time or word that makes no sense;
 * `INVALID_BACKUP_TYPE`, `COMPONENT_NOT_FOUND` where nothing is found for a name that nothing has.
 */
export async function listBackups(context: OperationContext, request: ListRequest): Promise<ListResult> {
  const { session } = context;
  const { limit, offset } = request;
  if (!Number.isInteger(limit) || limit < 1) throw badPage(`--limit ${limit} is not a number of rows`);
  if (!Number.isInteger(offset) || offset < 0) throw badPage(`--offset ${offset} is not a number of rows to skip`);
  const filter = filterOf(request, session);
  const catalog = await context.catalog("read");
  const { backups, total } = await pageOf(context, catalog, { ...filter, limit, offset });
  if (total === 0) refuseUnknownNames(filter, session);
  return { backups, total, offset, limit };
}

type Page = BackupFilter & Pick<ListRequest, "limit" | "offset">;

/** As the catalog has it, but that a run which died has failed. */
async function pageOf(
  context: OperationContext,
  catalog: Catalog,
  { status, ...page }: Page,
): Promise<Pick<ListResult, "backups" | "total">> {
  const dead = await findDeadRows(context, catalog);
  const summary = (backup: CatalogBackup): BackupSummary => ({ ...summaryOf(backup), ...dead.get(backup.id) });
  if (status === undefined || dead.size === 0) {
    const { backups, total } = catalog.list({ ...page, ...(status === undefined ? {} : { status }) });
    return { backups: backups.map(summary), total };
  }
  const { limit, offset, ...others } = page;
  const all = catalog
    .list(others)
    .backups.map(summary)
    .filter((backup) => status.includes(backup.status));
  return { backups: all.slice(offset, offset + limit), total: all.length };
}

function badPage(message: string): BackupctlError {
  return new BackupctlError("USAGE", message, { hint: "Give a whole number: --limit from 1, --offset from 0." });
}

function filterOf(request: ListRequest, session: Session): BackupFilter {
  const { type, mode, status, from, to, tag, component } = request;
  const timezone = session.loaded.config.timezone;
  // `--type incremental` means the mode, as it does for create.
  const [asType, asMode] =
    type !== undefined && isMode(type) && type !== "full" ? [undefined, mode ?? type] : [type, mode];
  if (asMode !== undefined && !isMode(asMode)) {
    throw new BackupctlError("USAGE", `--mode "${asMode}" is not a mode`, { hint: `Use one of ${MODES.join(", ")}.` });
  }
  return {
    ...parseTimeRange({ from, to }, { timezone, now: session.clock.now() }),
    ...(asType === undefined ? {} : { type: canonical(asType, session) }),
    ...(asMode === undefined ? {} : { mode: asMode }),
    ...(status === undefined ? {} : { status: [parseStatus(status)] }),
    ...(tag === undefined ? {} : { tag }),
    ...(component === undefined ? {} : { component: canonical(component, session) }),
  };
}

function isMode(text: string): boolean {
  return MODES.some((mode) => mode === text);
}

function parseStatus(text: string): string {
  const found = STATUSES.find((status) => status === text);
  if (found !== undefined) return found;
  throw new BackupctlError("USAGE", `--status "${text}" is not a status`, {
    hint: `Use one of ${STATUSES.join(", ")}.`,
  });
}

function canonical(name: string, session: Session): string {
  return name === "configurations" && !componentsOf(session).has(name) ? "configuration" : name;
}

function componentsOf(session: Session): ReadonlySet<string> {
  const configured = session.loaded.config.sources.map(({ component }) => component);
  return new Set(["database", "files", "configuration", ...configured]);
}

/** Nothing found is an answer; nothing found for a misspelt name would be a wrong one. */
function refuseUnknownNames({ type, component }: BackupFilter, session: Session): void {
  const known = componentsOf(session);
  if (type !== undefined && type !== "full" && !known.has(type)) {
    throw new BackupctlError("INVALID_BACKUP_TYPE", `there is no backup type "${type}"`, {
      hint: `Use one of full, ${[...known].join(", ")}.`,
    });
  }
  if (component !== undefined && !known.has(component)) {
    throw new BackupctlError("COMPONENT_NOT_FOUND", `there is no component "${component}"`, {
      hint: `Use one of ${[...known].join(", ")}.`,
    });
  }
}
