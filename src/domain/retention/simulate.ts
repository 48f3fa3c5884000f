import type { BackupId, BackupMetadata, Mode } from "../backup.ts";
import type { FiniteDuration } from "../duration.ts";
import { ancestorIdsOf, isGood, type KnownBackup } from "../known-backup.ts";
import { backupDirectory } from "../object-names.ts";
import { type ParentDecision, type Usable, withinLimits } from "../parent.ts";
import { chooseCategory } from "../retention-class.ts";
import { type RetentionDurations, retentionUntil } from "../retention-until.ts";
import type { Brake } from "./brake.ts";
import { decideCleanup, type Move, type Place } from "./cleanup.ts";
import { liesIn, type Verdict } from "./decide.ts";

const DAY_MS = 86_400_000;

/** A backup that a schedule is going to make. */
export interface PlannedRun {
  /** The schedule's name. */
  readonly schedule: string;
  readonly at: Date;
  /** When this schedule makes the one after it. */
  readonly next: Date;
  readonly type: string;
  readonly mode: Mode;
  readonly sources: readonly string[];
  readonly retentionDays?: number | undefined;
  readonly fullEvery: FiniteDuration;
}

export interface SimulationRequest {
  /** Those that there are now. */
  readonly backups: readonly KnownBackup[];
  /** In the order of their times. */
  readonly runs: Iterable<PlannedRun>;
  /** When cleanups run, in the order of their times. */
  readonly cleanups: Iterable<Date>;
  readonly maxDeletePercent: number;
  /** What is made is put into all but the archives, which get what cleanups move there. */
  readonly storages: readonly Omit<Place<KnownBackup>, "backups" | "locks">[];
  /** Whether a copy that lies in an archive was read there in full. */
  readonly wasRead: (backup: BackupId, archive: string) => boolean;
  /** The name of the storage that a run builds on. */
  readonly primary: string;
  /** For which time a schedule made one of them; `undefined` where it was not that one. */
  readonly dueTimeOf: (schedule: string, backup: KnownBackup) => Date | undefined;
  /** Of one that stands for all that are to be made. */
  readonly template: BackupMetadata;
  /** What a backup of this kind takes, as far as the last ones tell. */
  readonly bytesOf: (type: string, mode: string) => number;
  readonly durations: RetentionDurations;
  readonly keepsYears: boolean;
  readonly maxChain: number;
  readonly sources: readonly string[];
  readonly now: Date;
  readonly timezone: string;
}

/** What lies in a storage at the end of a simulated day. */
export interface SimulatedStorage {
  readonly name: string;
  readonly backups: number;
  readonly full: number;
  readonly bytes: number;
  /** That went in this day's cleanups. */
  readonly removed: number;
  /** When the oldest of them was made. */
  readonly oldest: string | undefined;
}

export interface SimulatedDay {
  readonly at: Date;
  readonly storages: readonly SimulatedStorage[];
  /** Where the last cleanup by then was refused. */
  readonly refused: Refused | undefined;
}

/** No cleanup goes through any longer. */
export interface Refused {
  /** The first that was refused. */
  readonly since: Date;
  /** Why it was. */
  readonly brake: Brake;
}

/** What the storages hold day after day when every run succeeds, but for the cleanups that are refused. */
export function simulate(request: SimulationRequest, days: number): readonly SimulatedDay[] {
  const world = new World(request);
  const runsUntil = taker(request.runs, ({ at }) => at);
  const cleanupsUntil = taker(request.cleanups, (at) => at);
  return Array.from({ length: days }, (_, day) => {
    const at = new Date(request.now.getTime() + (day + 1) * DAY_MS);
    for (const cleanup of cleanupsUntil(at)) {
      for (const run of runsUntil(cleanup)) world.make(run);
      world.cleanUp(cleanup);
    }
    for (const run of runsUntil(at)) world.make(run);
    return world.endDay(at);
  });
}

/** Takes the next of them, up to and with an instant. */
function taker<T>(items: Iterable<T>, atOf: (item: T) => Date): (until: Date) => Generator<T> {
  const iterator = items[Symbol.iterator]();
  let next = iterator.next();
  return function* until(at) {
    for (; next.done !== true && atOf(next.value) <= at; next = iterator.next()) yield next.value;
  };
}

class World {
  readonly #request: SimulationRequest;
  #backups: readonly Usable[];
  #made: Usable[] = [];
  #number = 0;
  /** By type. */
  readonly #newest = new Map<string, Usable>();
  readonly #fulls = new Map<string, Usable[]>();
  /** Of those that are simulated, which schedule made them. */
  readonly #madeBy = new Map<BackupId, string>();
  /** What cleanups moved, as `storage id`. */
  readonly #moved = new Set<string>();
  /** By storage, how many went on this day. */
  #removed = new Map<string, number>();
  #refused: Refused | undefined;

  constructor(request: SimulationRequest) {
    this.#request = request;
    this.#backups = request.backups.filter(isUsable);
    const oldestFirst = this.#backups.filter(isGood).sort((a, b) => Date.parse(a.timestamp) - Date.parse(b.timestamp));
    for (const backup of oldestFirst) this.#note(backup);
  }

  make(run: PlannedRun): void {
    const { template, storages, durations, maxChain, timezone } = this.#request;
    const decision = this.#decide(run, maxChain);
    const { mode } = decision;
    // If any of a period is there, the newest is of that period too.
    const completedFulls = (this.#fulls.get(run.type) ?? []).slice(-1).map(({ timestamp }) => timestamp);
    const category = chooseCategory({
      ...{ manual: false, type: run.type, mode, now: run.at, timezone, completedFulls },
      configuredClasses: this.#request.keepsYears ? ["yearly"] : [],
    });
    const id = this.#nextId();
    const timestamp = run.at.toISOString();
    const path = backupDirectory({ type: run.type, category, mode, timestamp, id });
    const metadata: BackupMetadata = {
      ...template,
      ...{
        id,
        type: run.type,
        mode,
        category,
        timestamp,
        completed_at: timestamp,
        storage_path: path,
        status: "completed",
      },
      ...{ stored_size: this.#request.bytesOf(run.type, mode), parent_id: decision.parent?.id ?? null, tags: [] },
      lineage: [...decision.lineage, { id, path }],
      retention_until: retentionUntil({ category, durations, retentionDays: run.retentionDays, from: run.at }),
      sources: template.sources
        .slice(0, 1)
        .flatMap((source) => run.sources.map((name) => ({ ...source, name, status: "completed" as const }))),
    };
    const backup = {
      ...{ id, type: run.type, mode, category, status: "completed" as const, timestamp, completedAt: timestamp },
      ...{ parentId: decision.parent?.id, trusted: true, notes: {}, committed: true, metadata },
      copies: storages.flatMap(({ name, isArchive }) => (isArchive ? [] : [complete(name)])),
    };
    this.#made.push(backup);
    if (mode === "full") this.#madeBy.set(id, run.schedule);
    this.#note(backup);
  }

  cleanUp(now: Date): void {
    const { storages, sources, timezone, maxDeletePercent, wasRead } = this.#request;
    const backups = this.#all();
    const places = storages.map((storage) => ({ ...storage, backups }));
    const { judged, moves, brakes } = decideCleanup({
      ...{ rules: { sources, timezone, now }, maxDeletePercent, backups, places },
      archives: places.filter(({ isArchive }) => isArchive),
      wasRead: (id, archive) => this.#moved.has(`${archive} ${id}`) || wasRead(id, archive),
    });
    const [brake] = brakes;
    if (brake !== undefined) {
      this.#refused ??= { since: now, brake };
      return;
    }
    this.#refused = undefined;
    this.#move(moves, now);
    this.#remove(judged.map(({ name, verdicts }) => [name, new Set(verdicts.flatMap(gone))]));
  }

  endDay(at: Date): SimulatedDay {
    const backups = this.#all();
    const storages = this.#request.storages.map(({ name }): SimulatedStorage => {
      const held = backups.filter((backup) => liesIn(backup, name));
      return {
        name,
        backups: held.length,
        full: held.filter(({ mode }) => mode === "full").length,
        bytes: held.reduce((sum, { metadata }) => sum + metadata.stored_size, 0),
        removed: this.#removed.get(name) ?? 0,
        oldest: held.map(({ timestamp }) => timestamp).reduce<string | undefined>(earlier, undefined),
      };
    });
    this.#removed = new Map();
    return { at, storages, refused: this.#refused };
  }

  #all(): readonly Usable[] {
    if (this.#made.length > 0) this.#backups = [...this.#backups, ...this.#made];
    this.#made = [];
    return this.#backups;
  }

  /** Each with all that it builds on; what came to an archive was read there. */
  #move(moves: readonly Move[], now: Date): void {
    const coming = new Map<BackupId, Set<string>>();
    const read = new Set(moves.map(({ backupId }) => backupId));
    for (const { backupId, to } of moves) {
      this.#moved.add(`${to} ${backupId}`);
      const moving = this.#backups.filter(({ id }) => id === backupId);
      for (const id of moving.flatMap((backup) => [backupId, ...ancestorIdsOf(backup)])) {
        coming.set(id, (coming.get(id) ?? new Set()).add(to));
      }
    }
    if (coming.size === 0) return;
    const verified = { at: now.toISOString(), depth: "full", passed: true, host: "" } as const;
    this.#backups = this.#backups.map((backup) => {
      const places = coming.get(backup.id);
      if (places === undefined) return backup;
      const copies = backup.copies.filter(({ storage }) => !places.has(storage));
      const notes = read.has(backup.id) ? { ...backup.notes, verified } : backup.notes;
      return { ...backup, notes, copies: [...copies, ...Array.from(places, complete)] };
    });
  }

  #remove(going: readonly (readonly [storage: string, backups: ReadonlySet<BackupId>])[]): void {
    for (const [name, { size }] of going) this.#removed.set(name, (this.#removed.get(name) ?? 0) + size);
    if (going.every(([, { size }]) => size === 0)) return;
    const byStorage = new Map(going);
    this.#backups = this.#backups.flatMap((backup) => {
      const copies = backup.copies.filter(({ storage }) => byStorage.get(storage)?.has(backup.id) !== true);
      if (copies.length === backup.copies.length) return [backup];
      return copies.length === 0 ? [] : [{ ...backup, copies }];
    });
  }

  #decide(run: PlannedRun, maxChain: number): ParentDecision {
    const newest = this.#newest.get(run.type);
    const noted = this.#fulls.get(run.type) ?? [];
    const full = noted.at(-1);
    const parent = run.mode === "differential" ? full : newest;
    if (run.mode === "full" || parent === undefined) return { mode: "full", lineage: [] };
    const [root] = parent.metadata.lineage;
    const fulls = noted.filter(({ id }) => id === root?.id || id === full?.id);
    const { at: now, mode, type, sources, fullEvery } = run;
    return withinLimits(
      {
        mode,
        type,
        sources,
        backups: fulls,
        storage: this.#request.primary,
        hasKey: () => true,
        maxChain,
        fullEvery,
        now,
        run: { at: now, next: run.next, dueTimeOf: (backup) => this.#dueTimeOf(run.schedule, backup) },
      },
      parent,
    );
  }

  #dueTimeOf(schedule: string, backup: KnownBackup): Date | undefined {
    const madeBy = this.#madeBy.get(backup.id);
    if (madeBy === undefined) return this.#request.dueTimeOf(schedule, backup);
    return madeBy === schedule ? new Date(backup.timestamp) : undefined;
  }

  #note(backup: Usable): void {
    this.#newest.set(backup.type, backup);
    if (backup.mode !== "full") return;
    const fulls = this.#fulls.get(backup.type);
    if (fulls === undefined) this.#fulls.set(backup.type, [backup]);
    else fulls.push(backup);
  }

  #nextId(): BackupId {
    this.#number++;
    return `${this.#number.toString(16).padStart(8, "0")}-0000-4000-8000-000000000000` as BackupId;
  }
}

function isUsable(backup: KnownBackup): backup is Usable {
  return backup.committed && backup.metadata !== undefined;
}

function complete(storage: string) {
  return { storage, state: "complete" };
}

function gone({ backup, keep }: Verdict<Usable>): readonly BackupId[] {
  return keep ? [] : [backup.id];
}

function earlier(one: string | undefined, other: string): string {
  return one !== undefined && one < other ? one : other;
}
