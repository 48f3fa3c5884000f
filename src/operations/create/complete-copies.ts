import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { BackupctlError } from "../../errors.ts";
import type { OperationContext } from "../context.ts";
import type { CreateResult, OnProgress } from "../operations.ts";
import { replicateHere } from "../replicate/replicate.ts";

interface Completion {
  readonly context: OperationContext;
  readonly catalog: Catalog;
  readonly backupId: BackupId;
  /** All of the run, those included that took no part. */
  readonly storages: readonly string[];
  /** Of them those that have no copy yet. */
  readonly behind: readonly string[];
  readonly warn: (message: string) => void;
  readonly onProgress: OnProgress | undefined;
}

/** Completes what the pass left behind, with all the patience that the storages have; a copy that still fails is `pending`. */
export async function completeCopies(completion: Completion): Promise<CreateResult["storages"]> {
  const { catalog, backupId, storages, behind, warn } = completion;
  if (behind.length > 0) {
    const { storages: tried } = await replicateHere(completion.context, catalog, {
      reference: backupId,
      targets: behind,
      among: storages,
      onProgress: completion.onProgress,
    });
    for (const { name, failure, notCopied } of tried) {
      const reason = failure?.message ?? notCopied[0]?.error.message;
      if (reason !== undefined) warn(`storage "${name}" has no copy yet: ${reason}. Later: \`backupctl replicate\``);
    }
  }
  sayEarlier(completion);
  const copies = catalog.get(backupId)?.copies ?? [];
  return storages.map((name) => ({
    name,
    state: copies.find(({ storage }) => storage === name)?.state ?? "pending",
  }));
}

/** Those of runs that a storage was away in, which nothing completes by itself. */
function sayEarlier({ catalog, backupId, storages, warn }: Completion): void {
  const others = catalog
    .list({})
    .backups.filter(({ id, committed, status }) => committed && status !== "deleting" && id !== backupId);
  for (const name of storages) {
    const pending = others.filter(({ copies }) => copies.some(isPendingIn(name))).length;
    if (pending > 0) warn(`storage "${name}" lacks ${count(pending, "earlier backup")}: run \`backupctl replicate\``);
  }
}

function isPendingIn(name: string) {
  return ({ storage, state }: { readonly storage: string; readonly state: string }): boolean =>
    storage === name && state === "pending";
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
      hint: `Bring the storage back, then run \`backupctl replicate ${backupId.slice(0, 8)}\`: the backup itself need not be made again.`,
      data: { backup_id: backupId, storages },
    },
  );
}
