import type { BackupId } from "../backup.ts";
import { count } from "../count.ts";
import {
  ancestorIdsOf,
  isGood,
  isGoodSource,
  isRunning,
  type KnownBackup,
  newestFirst,
  tagsOf,
  wholeSourcesOf,
} from "../known-backup.ts";
import { formatDay, formatInstant } from "../timestamp.ts";
import { keptByRules, type RuleName } from "./keep-rules.ts";
import { keptUntil, type StoragePolicy } from "./policy.ts";

export interface RetentionQuestion<T extends KnownBackup> {
  /** All that the catalog knows, those in other storages included. */
  readonly backups: readonly T[];
  readonly storage: string;
  readonly policy: StoragePolicy;
  /** The names of the sources that the configuration has: of others nothing new is waited for. */
  readonly sources: readonly string[];
  readonly now: Date;
  readonly timezone: string;
  /** Until when nobody may remove a copy that lies there. */
  readonly locks?: ReadonlyMap<BackupId, Date> | undefined;
}

type WhyGone = "begun" | "expired" | "max-backups";
type WhyKept =
  | "hold"
  | "unproven"
  | "date"
  | "waiting"
  | "rule"
  | "tag"
  | "last-good"
  | "last-verified"
  | "locked"
  | "needed";

interface Reason {
  readonly kind: WhyGone | WhyKept;
  /** For people; the subject is the backup: `daily until 2026-02-10`. */
  readonly text: string;
}

/** What becomes of one copy, and every reason for it. */
export interface Verdict<T extends KnownBackup> {
  readonly backup: T;
  readonly keep: boolean;
  readonly reasons: readonly Reason[];
}

/**
 * What stays in one storage and what goes, newest first: every backup of which anything lies there. Time alone removes nothing: a
 * backup has expired when its date is over *and* something newer of each of its sources was made after that date. So when backups fail or
 * stop, nothing more goes until there are new ones. Only good backups that are whole here count, and so must be all that they build on.
 *
 * The newest good backup of each source and its newest verified one always stay, and so does what is locked, and what a kept one builds on.
 */
export function decideRetention<T extends KnownBackup>(question: RetentionQuestion<T>): readonly Verdict<T>[] {
  const held = question.backups.filter((backup) => liesIn(backup, question.storage)).sort(newestFirst);
  const isRestorable = wholeLineagesIn(question);
  const counting = held.filter((backup) => isGood(backup) && isRestorable(backup));
  const protectedBy = protections(counting, question);
  const newest = newestBySource(counting);
  const beyond = beyondMost(counting, question.policy.maxBackups);
  const own = new Map(
    held.map((backup): [BackupId, Verdict<T>] => {
      const { keeps, why } = judgeByTime(backup, question, { newest, isBeyond: beyond.has(backup.id) });
      const reasons = [
        ...ownReasons(backup, question),
        ...(keeps && backup.committed ? [why] : []),
        ...(protectedBy.get(backup.id) ?? []),
      ];
      const verdict = reasons.length > 0 ? { backup, keep: true, reasons } : { backup, keep: false, reasons: [why] };
      const isBegun = backup.status === "deleting";
      return [backup.id, withLock(isBegun ? goes(backup, "begun", "its deletion was begun") : verdict, question)];
    }),
  );
  const needed = neededBy(
    [...own.values()].filter(({ keep }) => keep).map(({ backup }) => backup),
    question.backups,
  );
  return [...own.values()].map((verdict) => withNeed(verdict, needed.get(verdict.backup.id)));
}

/** Something of it, whole or not. */
export function liesIn({ committed, status, copies }: KnownBackup, storage: string): boolean {
  const state = copies.find((copy) => copy.storage === storage)?.state;
  return (committed || status === "unreadable") && state !== undefined && state !== "pending" && state !== "missing";
}

function isWholeIn({ copies }: KnownBackup, storage: string): boolean {
  return copies.some((copy) => copy.storage === storage && copy.state === "complete");
}

/** A copy without a known defect, of a backup none of whose ancestors is known to be damaged: else it can't be restored. */
function wholeLineagesIn({ backups, storage }: RetentionQuestion<KnownBackup>): (backup: KnownBackup) => boolean {
  const damaged = new Set(backups.filter((backup) => isDamagedIn(backup, storage)).map(({ id }) => id));
  return (backup) => isWholeIn(backup, storage) && !ancestorIdsOf(backup).some((id) => damaged.has(id));
}

function isDamagedIn({ copies, notes }: KnownBackup, storage: string): boolean {
  if (notes.verified?.passed === false) return true;
  return copies.some((copy) => copy.storage === storage && copy.state === "damaged");
}

function goes<T extends KnownBackup>(backup: T, kind: WhyGone, text: string): Verdict<T> {
  return { backup, keep: false, reasons: [{ kind, text }] };
}

/** What somebody said of this backup, or what nobody can say of it. */
function ownReasons(backup: KnownBackup, { policy }: RetentionQuestion<KnownBackup>): readonly Reason[] {
  const reasons: Reason[] = [];
  const { hold } = backup.notes;
  if (hold !== undefined) reasons.push({ kind: "hold", text: `on hold: ${hold.reason}` });
  if (backup.status === "unreadable") reasons.push({ kind: "unproven", text: "can't be read: only delete removes it" });
  else if (!backup.trusted) reasons.push({ kind: "unproven", text: "not proven by any key: only delete removes it" });
  const tags = tagsOf(backup).filter((tag) => policy.keep.tags.includes(tag));
  if (tags.length > 0) reasons.push({ kind: "tag", text: `tagged ${tags.join(", ")}` });
  return reasons;
}

interface TimeFacts {
  readonly newest: ReadonlyMap<string, KnownBackup>;
  readonly isBeyond: boolean;
}

function judgeByTime(
  backup: KnownBackup,
  { policy, sources, now, timezone }: RetentionQuestion<KnownBackup>,
  { newest, isBeyond }: TimeFacts,
): { readonly keeps: boolean; readonly why: Reason } {
  const { category } = backup;
  if (isBeyond) {
    const text = `older than the newest ${policy.maxBackups} (max_backups)`;
    return { keeps: false, why: { kind: "max-backups", text } };
  }
  const until = keptUntil(backup, policy);
  if (until === null) return { keeps: true, why: { kind: "date", text: `${category}, for ever` } };
  const day = formatDay(until, timezone);
  if (until.getTime() > now.getTime()) return { keeps: true, why: { kind: "date", text: `${category} until ${day}` } };
  const waitsFor = sourcesOf(backup, sources).filter((source) => {
    const since = newest.get(source);
    return since === undefined || Date.parse(since.timestamp) < until.getTime();
  });
  if (waitsFor.length === 0) return { keeps: false, why: { kind: "expired", text: `${category}, expired ${day}` } };
  const text = `${category}, expired ${day}, but nothing newer of ${waitsFor.join(", ")} since then`;
  return { keeps: true, why: { kind: "waiting", text } };
}

/** Those that it has anything of. Of a source that the configuration has no longer nothing newer can come. */
function sourcesOf({ metadata }: KnownBackup, configured: readonly string[]): readonly string[] {
  const all = (metadata?.sources ?? []).filter(isGoodSource).map(({ name }) => name);
  const current = all.filter((name) => configured.includes(name));
  return current.length > 0 ? current : all;
}

function newestBySource<T extends KnownBackup>(counting: readonly T[]): ReadonlyMap<string, T> {
  const newest = new Map<string, T>();
  for (const backup of counting) {
    for (const source of wholeSourcesOf(backup)) if (!newest.has(source)) newest.set(source, backup);
  }
  return newest;
}

function beyondMost(counting: readonly KnownBackup[], most: number | undefined): ReadonlySet<BackupId> {
  if (most === undefined) return new Set();
  const types = Map.groupBy(
    counting.filter(({ category }) => category !== "manual"),
    ({ type }) => type,
  );
  return new Set([...types.values()].flatMap((backups) => backups.slice(most).map(({ id }) => id)));
}

/** What keeps a backup for what it has of its sources, however old it is. */
function protections(
  counting: readonly KnownBackup[],
  { policy, timezone }: RetentionQuestion<KnownBackup>,
): ReadonlyMap<BackupId, readonly Reason[]> {
  const rules = new Map<BackupId, Set<RuleName>>();
  const lastGood = new Map<BackupId, Several<string>>();
  const lastVerified = new Map<BackupId, Several<string>>();
  for (const [source, backups] of bySource(counting)) {
    const times = backups.map(({ timestamp }) => new Date(timestamp));
    for (const [rule, places] of keptByRules(times, policy.keep, timezone)) {
      const kept = new Set(places);
      for (const { id } of backups.filter((_, place) => kept.has(place))) {
        rules.set(id, (rules.get(id) ?? new Set()).add(rule));
      }
    }
    const [good] = backups;
    const verified = backups.find(isVerified);
    add(lastGood, good.id, source);
    if (verified !== undefined) add(lastVerified, verified.id, source);
  }
  const reasonsOf = ({ id }: KnownBackup): readonly Reason[] => [
    ...told("rule", rules.get(id), (names) => names),
    ...told("last-good", lastGood.get(id), (names) => `the last good one of ${names}`),
    ...told("last-verified", lastVerified.get(id), (names) => `the last verified one of ${names}`),
  ];
  return new Map(counting.map((backup) => [backup.id, reasonsOf(backup)]));
}

function bySource<T extends KnownBackup>(counting: readonly T[]): ReadonlyMap<string, Several<T>> {
  const found = new Map<string, Several<T>>();
  for (const backup of counting) {
    for (const source of wholeSourcesOf(backup)) add(found, source, backup);
  }
  return found;
}

/** Everything in it was read and compared: a look at names and sizes proves too little to rely on. */
function isVerified({ notes, metadata }: KnownBackup): boolean {
  const { verified } = notes;
  return (verified?.passed === true && verified.depth !== "quick") || metadata?.verified === "full";
}

function told(kind: WhyKept, names: Iterable<string> | undefined, text: (names: string) => string): readonly Reason[] {
  return names === undefined ? [] : [{ kind, text: text([...names].join(", ")) }];
}

/** For each ancestor the kept backups that build on it, the newest first; what is being made counts as kept. */
function neededBy(
  kept: readonly KnownBackup[],
  all: readonly KnownBackup[],
): ReadonlyMap<BackupId, Several<KnownBackup>> {
  const needed = new Map<BackupId, Several<KnownBackup>>();
  for (const run of all.filter(isRunning)) {
    // Before its commit only its parent is known.
    const parent = all.find(({ id }) => id === run.parentId);
    if (parent !== undefined) for (const id of [parent.id, ...ancestorIdsOf(parent)]) add(needed, id, run);
  }
  for (const backup of kept) for (const id of ancestorIdsOf(backup)) add(needed, id, backup);
  return needed;
}

/** One at least. */
type Several<T> = [T, ...T[]];

function add<K, V>(lists: Map<K, Several<V>>, key: K, value: V): void {
  const list = lists.get(key);
  if (list === undefined) lists.set(key, [value]);
  else list.push(value);
}

/** What could go stays until it may. */
function withLock<T extends KnownBackup>(
  verdict: Verdict<T>,
  { locks, timezone }: RetentionQuestion<KnownBackup>,
): Verdict<T> {
  const until = locks?.get(verdict.backup.id);
  if (verdict.keep || until === undefined) return verdict;
  const lock: Reason = { kind: "locked", text: `locked until ${formatInstant(until, timezone)}` };
  return { backup: verdict.backup, keep: true, reasons: [lock, ...verdict.reasons] };
}

function withNeed<T extends KnownBackup>(verdict: Verdict<T>, children: Several<KnownBackup> | undefined): Verdict<T> {
  if (children === undefined) return verdict;
  const [newest] = children;
  const names =
    children.length === 1
      ? newest.id.slice(0, 8)
      : `${count(children.length, "backup")}, the newest ${newest.id.slice(0, 8)}`;
  const need: Reason = { kind: "needed", text: `needed by ${names}` };
  if (verdict.keep) return { ...verdict, reasons: [...verdict.reasons, need] };
  const { backup, reasons } = verdict;
  return { backup, keep: true, reasons: [need, ...reasons] };
}
