import { z } from "zod";
import type { CatalogBackup } from "../catalog/catalog.ts";
import { type BackupId, isBackupId } from "../domain/backup.ts";
import { BackupctlError } from "../errors.ts";
import { readFileIfExists } from "../platform/files.ts";
import { type Holder, type LockState, readHolder } from "../platform/lock.ts";
import type { OperationContext } from "./context.ts";
import type { Progress, RunStatus } from "./operations.ts";
import { resolveReference } from "./repository/references.ts";
import { statePaths } from "./session.ts";

/**
 * What runs now, or how a run ended. Without a reference: the run under way, else one that died, else the newest. Disturbs nobody.
 * @throws `BACKUP_NOT_FOUND`
 */
export async function runStatus(context: OperationContext, reference: string | undefined): Promise<RunStatus> {
  const state = await statePaths(context.session);
  const lock = await readHolder(state.lock);
  const running = runOf(lock);
  // A first run is in no sound catalog yet: whoever holds the lock is asked before any catalog is.
  if (running !== undefined && (reference === undefined || isSameRun(running.id, reference))) {
    return statusOfHolder(context, lock, running, await readProgress(state.progress, running.id));
  }
  const catalog = await context.catalog("read");
  const backup = reference === undefined ? catalog.list({ limit: 1 }).backups[0] : resolveReference(catalog, reference);
  if (backup === undefined) {
    throw new BackupctlError("BACKUP_NOT_FOUND", "nothing runs, and nothing has run yet", {
      hint: "Make a backup with `backupctl create`.",
    });
  }
  if (running?.id === backup.id)
    return statusOfHolder(context, lock, running, await readProgress(state.progress, backup.id));
  return statusOfRow(backup);
}

interface Run {
  readonly id: BackupId;
  readonly holder: Holder;
}

/** The backup that the holder of the lock works on; an operation on no backup (a rebuild) is no run. */
function runOf({ holder }: LockState): Run | undefined {
  const id = holder?.backupId;
  return holder === undefined || id === undefined || !isBackupId(id) ? undefined : { id, holder };
}

function isSameRun(id: BackupId, reference: string): boolean {
  return reference.length >= 4 && id.startsWith(reference.toLowerCase());
}

async function statusOfHolder(
  context: OperationContext,
  { alive }: LockState,
  { id, holder }: Run,
  progress: ProgressFile | undefined,
): Promise<RunStatus> {
  const { pid, host, operation, since } = holder;
  const error = alive
    ? undefined
    : { code: "INTERRUPTED", message: `process ${pid} on ${host} ended without finishing its ${operation}` };
  return {
    backupId: id,
    operation,
    status: alive ? "running" : "interrupted",
    progress: progress?.progress,
    startedAt: since,
    endedAt: alive ? undefined : (progress?.updatedAt ?? (await endOf(context, id))),
    holder: { pid, host, alive },
    error,
  };
}

async function endOf(context: OperationContext, id: BackupId): Promise<string | undefined> {
  const catalog = await context.catalog("read");
  return catalog.get(id)?.completedAt;
}

/** A row that says `running` while nobody on this host runs it: its process died, and nobody has cleaned up since. */
function statusOfRow(backup: CatalogBackup): RunStatus {
  const dead = backup.status === "running" || backup.status === "pending";
  const { pid, host } = backup;
  return {
    backupId: backup.id,
    operation: backup.status === "deleting" ? "delete" : "create",
    status: dead ? "interrupted" : backup.status,
    progress: undefined,
    startedAt: backup.timestamp,
    endedAt: backup.completedAt,
    holder: dead && pid !== undefined ? { pid, host, alive: false } : undefined,
    error:
      backup.error ??
      (dead ? { code: "INTERRUPTED", message: `the run on ${host} ended without finishing` } : undefined),
  };
}

interface ProgressFile {
  readonly progress: Progress;
  readonly updatedAt: string;
}

/** What the run last wrote of itself; `undefined` if there is nothing, or it is another run's. */
async function readProgress(file: string, id: BackupId): Promise<ProgressFile | undefined> {
  const bytes = await readFileIfExists(file);
  if (bytes === undefined) return undefined;
  const number = z.number().optional();
  const schema = z.object({
    backup_id: z.string(),
    updated_at: z.string(),
    progress: z.object({
      phase: z.string(),
      phasesCompleted: z.array(z.string()),
      phasesRemaining: z.array(z.string()),
      percent: number,
      bytesDone: z.number(),
      bytesTotal: number,
      filesDone: z.number(),
      filesTotal: number,
      bytesPerSecond: number,
      secondsElapsed: z.number(),
      secondsRemaining: number,
      activity: z.string().optional(),
    }),
  });
  const parsed = schema.safeParse(parseJson(bytes.toString("utf8")));
  if (!parsed.success || parsed.data.backup_id !== id) return undefined;
  const { progress } = parsed.data;
  return {
    updatedAt: parsed.data.updated_at,
    progress: {
      ...progress,
      percent: progress.percent,
      bytesTotal: progress.bytesTotal,
      filesTotal: progress.filesTotal,
      bytesPerSecond: progress.bytesPerSecond,
      secondsRemaining: progress.secondsRemaining,
      activity: progress.activity,
    },
  };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
