import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupId } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { formatSpan } from "../../domain/timestamp.ts";
import { BackupctlError } from "../../errors.ts";
import type { Storage, StoredObject, Warmth } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import type { FrozenPacks } from "../operations.ts";
import { mapInParallel } from "../parallel.ts";
import type { Repository } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import { recordThaw, thawExpectedAt } from "./thaw-times.ts";

const CALLS_AT_ONCE = 8;

/** Objects of one storage that have to be thawed, and that no other copy can give either. */
export interface Frozen {
  readonly storage: Storage;
  readonly objects: readonly FrozenObject[];
}

interface FrozenObject extends Warmth {
  readonly key: string;
  readonly sizeBytes: number;
}

/**
 * Which of these objects can't be read now from any of the `storages`, and could be after a thaw. Asks for none. What is missing, or
 * in a storage that is away, is left for who reads it.
 */
export async function findFrozen(
  repository: Repository,
  { storages, keys, signal }: { storages: readonly string[]; keys: readonly string[]; signal: AbortSignal },
): Promise<readonly Frozen[]> {
  const unread = new Set(keys);
  const found: Frozen[] = [];
  for (const name of storages) {
    if (unread.size === 0) break;
    try {
      const storage = await repository.storage(name);
      if (storage.cold === undefined && storages.length === 1) return [];
      found.push({ storage, objects: await findFrozenIn(storage, unread, signal) });
    } catch (error) {
      if (!isUnreachable(error)) throw error;
    }
  }
  return found
    .map(({ storage, objects }) => ({ storage, objects: objects.filter(({ key }) => unread.delete(key)) }))
    .filter(({ objects }) => objects.length > 0);
}

/** Takes from `unread` what can be read there. */
async function findFrozenIn(
  storage: Storage,
  unread: Set<string>,
  signal: AbortSignal,
): Promise<readonly FrozenObject[]> {
  const { cold } = storage;
  const directories = new Set([...unread].map((key) => key.slice(0, key.lastIndexOf("/"))));
  const listed = await mapInParallel([...directories], CALLS_AT_ONCE, async (directory) => {
    const there: StoredObject[] = [];
    for await (const object of storage.list(directory, { signal })) if (unread.has(object.key)) there.push(object);
    return there;
  });
  const seen = await mapInParallel(listed.flat(), CALLS_AT_ONCE, async (object): Promise<FrozenObject | undefined> => {
    const { key, sizeBytes } = object;
    const warmth = object.cold === true ? await cold?.warmth(key, { signal }) : undefined;
    if (warmth !== undefined && warmth.state !== "ready") return { key, sizeBytes, ...warmth };
    unread.delete(key);
    return undefined;
  });
  return seen.filter((object) => object !== undefined);
}

export function describeFrozen(frozen: readonly Frozen[], catalog: Catalog, now: Date): readonly FrozenPacks[] {
  return frozen.map(({ storage, objects }) => {
    const asked = objects.filter(({ state }) => state === "thawing").length;
    const packs = { storage: storage.name, directories: directoriesOf(objects) };
    const expectedAt = asked < objects.length ? undefined : thawExpectedAt(catalog, packs, now);
    return {
      storage: storage.name,
      packs: objects.length,
      bytes: objects.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      asked,
      thawMs: Math.max(...objects.map(({ thawMs }) => thawMs)),
      expectedAt: expectedAt?.toISOString(),
    };
  });
}

/** Asks for all of them that nobody has asked for. @throws `OBJECT_COLD` then, which says when they can be read */
export async function requireThawed(
  frozen: readonly Frozen[],
  backupId: BackupId,
  context: Pick<OperationContext, "session" | "catalog">,
): Promise<void> {
  if (frozen.length === 0) return;
  const { clock } = context.session;
  const before = describeFrozen(frozen, await context.catalog("read"), clock.now());
  for (const each of frozen) await thaw(each, context);
  const now = clock.now().getTime();
  const asked = before.map((packs) => {
    const isNew = packs.asked < packs.packs;
    return isNew ? { ...packs, expectedAt: new Date(now + packs.thawMs).toISOString() } : packs;
  });
  throw new BackupctlError("OBJECT_COLD", asked.map((packs) => thawText(packs, backupId)).join("; "), {
    hint: "Run the same command again then: it goes on when all of them can be read.",
    data: {
      frozen: asked.map(({ thawMs: _, expectedAt, ...packs }) => ({ ...packs, expected_at: expectedAt ?? null })),
    },
  });
}

/** Asks for those that nobody has asked for. */
export async function thaw(
  { storage, objects }: Frozen,
  context: Pick<OperationContext, "session" | "catalog">,
): Promise<void> {
  const { clock, signal } = context.session;
  const unasked = objects.filter(({ state }) => state === "frozen");
  if (unasked.length === 0) return;
  await mapInParallel(unasked, CALLS_AT_ONCE, async ({ key }) => storage.cold?.thaw(key, { signal }));
  const thawMs = Math.max(...unasked.map(({ thawMs: each }) => each));
  const asked = { storage: storage.name, directories: directoriesOf(unasked) };
  await recordThaw(context, asked, new Date(clock.now().getTime() + thawMs));
}

function directoriesOf(objects: readonly FrozenObject[]): ReadonlySet<string> {
  return new Set(objects.map(({ key }) => key.slice(0, key.lastIndexOf("/"))));
}

function thawText({ storage, packs, bytes, asked, thawMs, expectedAt }: FrozenPacks, backupId: BackupId): string {
  const what = `${count(packs, "pack")} (${formatBytes(bytes)}) of backup ${backupId}`;
  if (asked === packs) {
    const by = `${formatSpan(thawMs)} at most from when they were asked for`;
    const when = expectedAt === undefined ? by : `and can be read by ${expectedAt} at the latest`;
    return `${what} are still being thawed in storage "${storage}", ${when}`;
  }
  const before = asked === 0 ? "" : `, ${asked} of which it was asked for before`;
  return `storage "${storage}" was asked to thaw ${what}${before}; they can be read by ${expectedAt} at the latest`;
}
