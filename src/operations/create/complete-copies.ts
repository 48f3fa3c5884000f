import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { isTold, withoutName } from "../../domain/storage-messages.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { CreateResult, OnProgress, ReplicateResult } from "../operations.ts";
import { replicateHere } from "../replicate/replicate.ts";

interface Completion {
  readonly context: OperationContext;
  readonly catalog: Catalog;
  readonly backupId: BackupId;
  /** All of the run, those included that took no part. */
  readonly storages: readonly string[];
  /** Of them those that have no copy yet, and may take one. */
  readonly behind: readonly string[];
  /** Those that had no room for it, and will have none in a moment. */
  readonly full?: ReadonlyMap<string, BackupctlError>;
  /** What the run has said by now. */
  readonly warnings: readonly string[];
  readonly warn: (message: string) => void;
  readonly onProgress: OnProgress | undefined;
}

/** Completes what the pass left behind, with all the patience that the storages have; a copy that still fails is `pending`. */
export async function completeCopies(completion: Completion): Promise<CreateResult["storages"]> {
  const { context, catalog, backupId, storages, behind, onProgress } = completion;
  const tried =
    behind.length === 0
      ? []
      : (await replicateHere(context, catalog, { reference: backupId, targets: behind, among: storages, onProgress }))
          .storages;
  const copies = catalog.get(backupId)?.copies ?? [];
  const results = storages.map((name) => ({
    name,
    state: copies.find(({ storage }) => storage === name)?.state ?? "pending",
  }));
  for (const result of results) sayWhatLacks(completion, result, tried);
  return results;
}

/** A line for each storage, also of runs that it was away in, which nothing completes by itself. */
function sayWhatLacks(
  { catalog, backupId, full, warnings, warn }: Completion,
  { name, state }: CreateResult["storages"][number],
  tried: ReplicateResult["storages"],
): void {
  const earlier = catalog
    .list({})
    .backups.filter(({ id, committed, status }) => committed && status !== "deleting" && id !== backupId)
    .filter(({ copies }) => copies.some((copy) => copy.storage === name && copy.state === "pending")).length;
  if (state === "complete") {
    if (earlier > 0) warn(`storage "${name}" lacks ${count(earlier, "earlier backup")}: run \`backupctl replicate\``);
    return;
  }
  const lacks = `storage "${name}" lacks this backup${earlier === 0 ? "" : ` and ${count(earlier, "earlier one")}`}`;
  const result = tried.find((each) => each.name === name);
  const { message = "", hint = "" } = full?.get(name) ?? result?.failure ?? result?.notCopied[0]?.error ?? {};
  const reason = withoutName(name, message);
  const why = isTold(warnings, name, reason) ? "" : ` (${reason})`;
  const todo = hint === "" ? ": run" : `. ${hint} Then run`;
  warn(`${lacks}${why}${todo} \`backupctl replicate\``);
}

/** Another try would fail alike until somebody makes room. */
export function isFull(error: unknown): error is BackupctlError {
  return isBackupctlError(error, "INSUFFICIENT_STORAGE");
}

/** `create.require` of the configuration: the backup stays where it is, and the run has failed. @throws `BACKUP_FAILED` */
export function requireCopies(
  required: readonly string[],
  backupId: BackupId,
  storages: CreateResult["storages"],
): void {
  const missing = required.filter((name) => !storages.some((copy) => copy.name === name && copy.state === "complete"));
  if (missing.length === 0) return;
  const quoted = (names: readonly string[]): string => names.map((name) => `"${name}"`).join(", ");
  const whole = storages.filter(({ state }) => state === "complete").map(({ name }) => name);
  throw new BackupctlError(
    "BACKUP_FAILED",
    `backup ${backupId} is complete in ${quoted(whole)}, and not in ${quoted(missing)}, which create.require demands`,
    {
      hint: `Mend what the warning says of the storage, then run \`backupctl replicate ${backupId.slice(0, 8)}\`: the backup itself need not be made again.`,
      data: { backup_id: backupId, storages },
    },
  );
}
