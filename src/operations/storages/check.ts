import { randomBytes } from "node:crypto";
import { count } from "../../domain/count.ts";
import { formatBytes, formatRate } from "../../domain/size.ts";
import { CLOCK_TOLERANCE_MS, formatSpan } from "../../domain/timestamp.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import type { Clock } from "../../platform/clock.ts";
import { newUuid } from "../../platform/random.ts";
import type { ProbeResult, Storage } from "../../storage/storage.ts";
import type { OperationContext } from "../context.ts";
import type { StorageCheck, StorageCheckRequest } from "../operations.ts";
import { knownRepositoryId, readRepositoryId, requireSameRepository } from "../repository/repository.ts";
import { isUnremovable } from "../repository/unremovable.ts";
import { openStorage, primaryStorage, type Session, statePaths } from "../session.ts";

/** Objects of checks lie below it, each check's in a folder of its own: no backup has such a name. */
const SCRATCH_ROOT = "storage-check";
/** What a check that was killed left is removed by the next one, unless it may be another that still runs. */
const LEFT_BEHIND_MS = 24 * 3_600_000;
const LATENCY_SAMPLES = 5;
/** The size of a pack, which is what a backup moves. */
const LOAD_BYTES = 16 * 1024 * 1024;
const LOADS_AT_ONCE = 4;
/** A line on which the first load took longer is known well enough from it. */
const SLOW_LOAD_SECONDS = 10;

/** Whoever reads it has just asked what works and what does not. */
const HINT = "Look whether the storage is up and can be reached from here, and what its own log says of this request.";

/** So long all that lies there is counted: FTP servers may want a question for each object. */
const LONGEST_COUNT_MS = 30_000;

/**
 * Tries with real requests, in a folder of its own, all that a backup asks of a storage. What does not work is a result, not an error.
 * @throws what opening the storage throws: then there is nothing to try
 */
export async function checkStorage(context: OperationContext, request: StorageCheckRequest): Promise<StorageCheck> {
  const { session } = context;
  const { name, onResult } = request;
  const storage = await openStorage(session, name, { once: true, scratch: true, hint: HINT });
  const results: ProbeResult[] = [];
  const scratch = `${SCRATCH_ROOT}/${newUuid()}`;
  try {
    const { clock, signal } = session;
    for await (const result of probes({ context, session, storage, scratch, clock, signal })) {
      results.push(result);
      onResult?.(result);
    }
  } finally {
    await removeBelow(storage, scratch).catch((error: unknown) => {
      session.logger.warn(`objects of the check below ${scratch} stay: ${messageOf(error)}`);
    });
    await storage.close();
  }
  const { type } = session.loaded.config.storages.find((entry) => entry.name === name) ?? { type: "" };
  return {
    name,
    type,
    address: storage.address,
    results,
    settings: results.flatMap(({ setting }) => setting ?? []),
    passed: results.every(({ outcome }) => outcome !== "fails"),
  };
}

interface Probing {
  readonly context: OperationContext;
  readonly session: Session;
  readonly storage: Storage;
  readonly scratch: string;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

type Finding = Omit<ProbeResult, "what" | "outcome"> & { readonly outcome?: ProbeResult["outcome"] };

async function* probes(probing: Probing): AsyncGenerator<ProbeResult> {
  const { storage } = probing;
  yield await attempt("leavings", () => removeOldScratch(probing));
  const written = await attempt("write", () => write(probing));
  yield written;
  // Without it every other answer would be of nothing.
  if (written.outcome === "fails") return;
  yield await attempt("read", () => read(probing));
  yield await attempt("read a range", () => readRange(probing));
  yield await attempt("repository", () => repository(probing));
  yield await attempt("list at once", () => listAtOnce(probing));
  yield await attempt("refuse to overwrite", () => refuseOverwriting(probing));
  yield await attempt("two writers at once", () => raceWriters(probing));
  yield await attempt("clock", () => compareClocks(probing));
  yield await attempt("latency", () => latency(probing));
  yield* load(probing);
  yield await attempt("free space", () => space(storage));
  yield await attempt("contents", () => contents(probing));
  yield* probesOfItsType(probing);
  yield await attempt("delete", () => remove(probing));
}

async function* probesOfItsType({ storage, scratch, signal }: Probing): AsyncGenerator<ProbeResult> {
  try {
    if (storage.probe !== undefined) yield* storage.probe(scratch, { signal });
  } catch (error) {
    yield await attempt("what only this type has", () => Promise.reject(error));
  }
}

async function attempt(what: string, work: () => Promise<Finding>): Promise<ProbeResult> {
  try {
    return { what, outcome: "works", ...(await work()) };
  } catch (error) {
    if (!isBackupctlError(error) || error.code === "INTERRUPTED") throw error;
    return { what, outcome: "fails", detail: describe(error) };
  }
}

function describe({ code, message, hint }: BackupctlError): string {
  return hint === undefined ? `${code}: ${message}` : `${code}: ${message}. ${hint}`;
}

const SMALL = Buffer.from("written by backupctl storage check\n");

async function write({ storage, scratch, signal }: Probing): Promise<Finding> {
  const { sizeBytes } = await storage.put(`${scratch}/small`, SMALL, { signal });
  return sizeBytes === SMALL.length
    ? {}
    : { outcome: "fails", detail: `it says ${sizeBytes} bytes, not ${SMALL.length}` };
}

async function read({ storage, scratch, signal }: Probing): Promise<Finding> {
  const bytes = await storage.get(`${scratch}/small`, undefined, { signal });
  return bytes?.equals(SMALL) === true ? {} : { outcome: "fails", detail: "other bytes than were written" };
}

/** What lies there may be another site's, or on another disk. */
async function repository({ context, session, storage }: Probing): Promise<Finding> {
  const wanted = await knownRepositoryId(session, await statePaths(session));
  try {
    const found = await readRepositoryId(storage);
    requireSameRepository(storage.name, found, wanted ?? found);
    return { detail: found };
  } catch (error) {
    if (isBackupctlError(error, "REPOSITORY_MISMATCH"))
      return { outcome: "fails", detail: `${describe(error)} ${createThen(session, storage)}` };
    if (!isBackupctlError(error, "REPOSITORY_NOT_INITIALIZED")) throw error;
    if (await isKnownToHold(context, storage)) {
      const detail = `${describe(error)} The catalog knows backups there. ${createThen(session, storage)}`;
      return { outcome: "fails", detail };
    }
    return { outcome: error.data?.holds_backups === true ? "fails" : "absent", detail: describe(error) };
  }
}

/** Then its disk is not mounted, or it was emptied. */
async function isKnownToHold(context: OperationContext, { name }: Storage): Promise<boolean> {
  try {
    const { backups } = (await context.catalog("read")).list({});
    return backups.some(({ copies }) => copies.some(({ storage, state }) => storage === name && state !== "pending"));
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return false;
  }
}

function createThen(session: Session, { name }: Storage): string {
  return name === primaryStorage(session).name
    ? "Until then `backupctl create` refuses to run, or begins anew there where no other storage is of the earlier repository."
    : "Until then `backupctl create` leaves it out.";
}

async function readRange({ storage, scratch, signal }: Probing): Promise<Finding> {
  const bytes = await storage.get(`${scratch}/small`, { offset: 8, length: 12 }, { signal });
  return bytes?.equals(SMALL.subarray(8, 20)) === true
    ? {}
    : { outcome: "fails", detail: "other bytes than asked for" };
}

/** Hosts that share a repository without a lock rely on it (docs/decisions/0008). */
async function listAtOnce({ storage, scratch, signal }: Probing): Promise<Finding> {
  const key = `${scratch}/listed`;
  await storage.put(key, SMALL, { signal });
  if (!(await keysBelow(storage, scratch, signal)).includes(key))
    return { outcome: "fails", detail: "what was just written is not listed: several hosts can't share this storage" };
  if ((await refusalOf(() => storage.remove(key, { signal }))) !== undefined) return {};
  const gone = !(await keysBelow(storage, scratch, signal)).includes(key);
  return gone ? {} : { outcome: "fails", detail: "what was just removed is still listed" };
}

async function refuseOverwriting({ storage, scratch, signal }: Probing): Promise<Finding> {
  const other = Buffer.from(SMALL).fill(" ", 0, 8);
  try {
    await storage.put(`${scratch}/small`, other, { signal });
  } catch (error) {
    if (isBackupctlError(error, "OBJECT_CONFLICT")) return {};
    throw error;
  }
  return { outcome: "fails", detail: "an object was overwritten by another of the same name" };
}

async function raceWriters({ storage, scratch, signal }: Probing): Promise<Finding> {
  if (!storage.capabilities.exclusiveNames)
    return {
      outcome: "absent",
      detail: "of two at the same moment both are told that they wrote: names of backups are random, so none meet",
    };
  const puts = [1, 2].map((n) => storage.put(`${scratch}/raced`, Buffer.alloc(200_000, n), { signal }));
  const settled = await Promise.allSettled(puts);
  const failed = settled.flatMap((result) => (result.status === "rejected" ? [result.reason as unknown] : []));
  const other = failed.find((error) => !isBackupctlError(error, "OBJECT_CONFLICT"));
  if (other !== undefined) throw other;
  return failed.length === 1 ? {} : { outcome: "fails", detail: "both of two writers were told that they wrote" };
}

async function compareClocks({ storage, scratch, signal, clock }: Probing): Promise<Finding> {
  const before = clock.now().getTime();
  const stored = await storage.put(`${scratch}/clock`, randomBytes(16), { signal });
  const after = clock.now().getTime();
  const there = stored.modifiedAt.getTime();
  // Many services tell whole seconds, cut off.
  const skewMs = there > after ? there - after : Math.max(0, before - there - 1_000);
  if (skewMs <= 1_000) return { detail: "the same as here, to a second" };
  const detail = `${formatSpan(skewMs)} ${there > after ? "ahead of" : "behind"} this host's`;
  return skewMs > CLOCK_TOLERANCE_MS
    ? { outcome: "fails", detail: `${detail}: see \`timedatectl\` on both` }
    : { detail };
}

async function latency({ storage, scratch, signal, clock }: Probing): Promise<Finding> {
  const samples: number[] = [];
  for (let n = 0; n < LATENCY_SAMPLES; n++) {
    const started = clock.monotonicMs();
    await storage.stat(`${scratch}/small`, { signal });
    samples.push(clock.monotonicMs() - started);
  }
  samples.sort((a, b) => a - b);
  const median = samples[Math.floor(samples.length / 2)] ?? 0;
  return { detail: `${median < 10 ? median.toFixed(1) : median.toFixed(0)} ms a request` };
}

/** One load, then several at once, up and down again. */
async function* load(probing: Probing): AsyncGenerator<ProbeResult> {
  const keys = Array.from({ length: LOADS_AT_ONCE }, (_, n) => `${probing.scratch}/load-${n}`);
  const bytes = randomBytes(LOAD_BYTES);
  const { session, storage, signal } = probing;
  const { limits } = session.loaded.config.storages.find(({ name }) => name === storage.name) ?? {};
  const loaded: string[] = [];
  const upload = async (key: string): Promise<void> => {
    await storage.put(key, bytes, { signal });
    loaded.push(key);
  };
  const download = async (key: string): Promise<void> => {
    const back = await storage.get(key, undefined, { signal });
    if (back?.equals(bytes) !== true) throw new BackupctlError("STORAGE_FAILED", `${key} came back with other bytes`);
  };
  const most = {
    up: allowed("limit_upload", limits?.uploadBytesPerSecond),
    down: allowed("limit_download", limits?.downloadBytesPerSecond),
  };
  yield await attempt("upload", async () => ({ detail: `${await timed(probing, keys, upload)}${most.up}` }));
  if (loaded.length > 0)
    yield await attempt("download", async () => ({ detail: `${await timed(probing, loaded, download)}${most.down}` }));
}

/** What is measured is not the line where the config holds it back. */
function allowed(option: string, bytesPerSecond: number | undefined): string {
  return bytesPerSecond === undefined ? "" : `: ${option} allows ${formatRate(bytesPerSecond, 1)} on average`;
}

async function timed(
  { clock }: Probing,
  keys: readonly string[],
  work: (key: string) => Promise<void>,
): Promise<string> {
  const [first = "", ...others] = keys;
  const one = await seconds(clock, () => work(first));
  const single = `${formatRate(LOAD_BYTES, one)} alone`;
  if (one > SLOW_LOAD_SECONDS || others.length === 0) return single;
  const several = await seconds(clock, () => allOf(others.map(work)));
  return `${single}, ${formatRate(LOAD_BYTES * others.length, several)} with ${others.length} at once`;
}

/** When none of them is under way any longer. @throws why the first failed */
async function allOf(works: readonly Promise<void>[]): Promise<void> {
  const settled = await Promise.allSettled(works);
  for (const result of settled) if (result.status === "rejected") throw result.reason;
}

async function seconds(clock: Clock, work: () => Promise<unknown>): Promise<number> {
  const started = clock.monotonicMs();
  await work();
  return (clock.monotonicMs() - started) / 1_000;
}

async function space(storage: Storage): Promise<Finding> {
  const { freeBytes, totalBytes } = await storage.space();
  if (freeBytes === undefined)
    return { outcome: "absent", detail: "this service does not tell it; `quota` in the config sets a bound" };
  return { detail: `${formatBytes(freeBytes)}${totalBytes === undefined ? "" : ` of ${formatBytes(totalBytes)}`}` };
}

/** Whoever put it there: the catalog knows the backups only. */
async function contents({ storage, clock, signal }: Probing): Promise<Finding> {
  const started = clock.monotonicMs();
  let [objects, bytes] = [0, 0];
  for await (const { key, sizeBytes } of storage.list("", { signal })) {
    if (key.startsWith(`${SCRATCH_ROOT}/`)) continue;
    objects += 1;
    bytes += sizeBytes;
    if (clock.monotonicMs() - started > LONGEST_COUNT_MS)
      return { detail: `${objects} objects, ${formatBytes(bytes)}, and more than can be counted in 30 seconds` };
  }
  return { detail: `${objects} objects, ${formatBytes(bytes)}` };
}

async function remove({ storage, scratch, signal }: Probing): Promise<Finding> {
  const refused = await refusalOf(() => removeBelow(storage, scratch, signal));
  if (refused !== undefined)
    return { outcome: "absent", detail: `backups do without it, \`backupctl delete\` does not: ${refused.message}` };
  const left = await keysBelow(storage, scratch, signal);
  return left.length === 0 ? {} : { outcome: "fails", detail: `${left.length} objects are there still` };
}

async function removeOldScratch({ storage, clock, signal }: Probing): Promise<Finding> {
  let [removed, recent] = [0, 0];
  for await (const { key, modifiedAt } of storage.list(SCRATCH_ROOT, { signal })) {
    if (clock.now().getTime() - modifiedAt.getTime() < LEFT_BEHIND_MS) {
      recent += 1;
      continue;
    }
    const refused = await refusalOf(() => storage.remove(key, { signal }));
    if (refused !== undefined)
      return { outcome: "absent", detail: `an earlier check's objects stay: ${refused.message}` };
    removed += 1;
  }
  if (recent > 0 || removed > 0) return { detail: leavings(removed, recent) };
  return { detail: "none of an earlier check" };
}

function leavings(removed: number, recent: number): string {
  const gone = removed === 0 ? [] : [`${count(removed, "object")} of an earlier check removed`];
  const there =
    recent === 0
      ? []
      : [
          `${count(recent, "object")} of a check that was killed, or runs now: a check removes them once they are a day old`,
        ];
  return [...gone, ...there].join("; ");
}

/** Why nothing may be removed, where nothing may: by a login for backups alone, or because the place keeps what it has. */
async function refusalOf(removal: () => Promise<void>): Promise<BackupctlError | undefined> {
  try {
    await removal();
    return undefined;
  } catch (error) {
    if (isUnremovable(error)) return error;
    throw error;
  }
}

async function removeBelow(storage: Storage, folder: string, signal?: AbortSignal): Promise<void> {
  const options = signal === undefined ? {} : { signal };
  for (const key of await keysBelow(storage, folder, signal)) await storage.remove(key, options);
}

async function keysBelow(storage: Storage, folder: string, signal?: AbortSignal): Promise<readonly string[]> {
  const keys: string[] = [];
  for await (const { key } of storage.list(folder, signal === undefined ? {} : { signal })) keys.push(key);
  return keys;
}
