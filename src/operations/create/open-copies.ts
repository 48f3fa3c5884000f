import type { Catalog } from "../../catalog/catalog.ts";
import { isGood } from "../../domain/known-backup.ts";
import { roomFor } from "../../domain/room.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { objectDefect } from "../repository/lineage-check.ts";
import type { Repository } from "../repository/repository.ts";
import type { PreparedCreate } from "./plan.ts";

/** A replica is opened and looked at while the run waits, which it does for its primary only. */
const OPENING_MS = 20_000;

interface Opening {
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly prepared: PreparedCreate;
  readonly warn: (message: string) => void;
}

interface OpenedCopies {
  /** The leading one first. */
  readonly storages: readonly Storage[];
  /** Why a storage takes no part, by its name. */
  readonly absent: ReadonlyMap<string, string>;
}

/**
 * The storages that a run writes to: those that can be opened, have room, and have all that the backup builds on. Wrong logins,
 * missing places and clocks that are off are met here, before anything is read. @throws `INSUFFICIENT_STORAGE` for the primary
 */
export async function openCopies(opening: Opening): Promise<OpenedCopies> {
  const { prepared, warn } = opening;
  const { lead } = prepared;
  const lacksRoom = await lackingRoom(opening, lead);
  if (lacksRoom !== undefined) throw lacksRoom;
  const storages = [lead];
  const absent = new Map<string, string>();
  const replicas = prepared.storages.filter((name) => name !== lead.name);
  const looks = await Promise.allSettled(replicas.map((name) => openSoon(opening, name)));
  for (const [i, look] of looks.entries()) {
    const name = replicas[i] ?? "";
    const reason =
      look.status === "rejected" ? reasonOf(look.reason) : (sameAs(storages, look.value.storage) ?? look.value.reason);
    if (reason !== undefined) {
      absent.set(name, reason);
      warn(`storage "${name}" takes no part in this run: ${reason}`);
    } else if (look.status === "fulfilled") storages.push(look.value.storage);
  }
  return { storages, absent };
}

function reasonOf(error: unknown): string {
  if (!isBackupctlError(error)) throw error;
  return messageOf(error);
}

interface Look {
  readonly storage: Storage;
  /** Why it takes no part. */
  readonly reason: string | undefined;
}

async function openSoon(opening: Opening, name: string): Promise<Look> {
  const tooLate = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new BackupctlError("STORAGE_FAILED", `it does not answer for ${OPENING_MS / 1000} seconds`);
    tooLate.abort(error);
    late.reject(error);
  }, OPENING_MS);
  try {
    return await Promise.race([openAndLook(opening, name, { signal: tooLate.signal }), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Only the look is aborted: who completes the copies afterwards goes on with the opening. */
async function openAndLook(opening: Opening, name: string, options: OperationOptions): Promise<Look> {
  const storage = await opening.repository.storage(name);
  options.signal?.throwIfAborted();
  const lacksAncestor = await lackingAncestor(opening, storage, options);
  return { storage, reason: lacksAncestor ?? (await lackingRoom(opening, storage, options))?.message };
}

function sameAs(others: readonly Storage[], { address }: Storage): string | undefined {
  const twin = others.find((other) => other.address === address);
  return twin === undefined ? undefined : `it is the same place as "${twin.name}"`;
}

/** A copy is complete only where its whole lineage is: without its ancestors it could not be restored from there. */
async function lackingAncestor(
  { prepared, catalog }: Opening,
  storage: Storage,
  options: OperationOptions,
): Promise<string | undefined> {
  for (const { id } of prepared.decision.lineage) {
    const metadata = catalog.get(id)?.metadata;
    const defect = metadata === undefined ? "unknown" : await objectDefect(storage, metadata, options);
    if (defect !== undefined) return `it lacks the backup ${id} that this one builds on (${defect})`;
  }
  return undefined;
}

/** An incremental backup may be of any size; of a full one the last is the measure. */
async function lackingRoom(
  { prepared, catalog, warn }: Opening,
  storage: Storage,
  options?: OperationOptions,
): Promise<BackupctlError | undefined> {
  const { freeBytes } = await storage.space(options);
  const expected = prepared.decision.mode === "full" ? sizeOfLastFull(prepared, catalog) : undefined;
  const verdict = roomFor(freeBytes, expected);
  if (verdict === "enough" || freeBytes === undefined) return undefined;
  const needed = expected === undefined ? "" : `, and the last full backup took ${formatBytes(expected)}`;
  const message = `storage "${storage.name}" has ${formatBytes(freeBytes)} free${needed}`;
  if (verdict === "none") {
    return new BackupctlError("INSUFFICIENT_STORAGE", message, {
      hint: "Free some space there, or delete backups that are past their date: `backupctl list`, `backupctl delete ID`.",
    });
  }
  warn(`${message}: this one may not fit`);
  return undefined;
}

function sizeOfLastFull({ selection }: PreparedCreate, catalog: Catalog): number | undefined {
  const wanted = selection.sources.map(({ name }) => name);
  const last = catalog
    .list({ type: selection.type, mode: "full", status: ["completed", "completed_with_errors"], limit: 1 })
    .backups.find(isGood)?.metadata;
  const held = last?.sources.map(({ name }) => name) ?? [];
  return held.every((name) => wanted.includes(name)) ? last?.stored_size : undefined;
}
