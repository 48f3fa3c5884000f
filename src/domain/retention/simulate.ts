import type { BackupId, BackupMetadata, Mode } from "../backup.ts";
import type { FiniteDuration } from "../duration.ts";
import { isGood, type KnownBackup } from "../known-backup.ts";
import { backupDirectory } from "../object-names.ts";
import { type ParentDecision, type Usable, withinLimits } from "../parent.ts";
import { chooseCategory } from "../retention-class.ts";
import { type RetentionDurations, retentionUntil } from "../retention-until.ts";
import { decideRetention } from "./decide.ts";
import type { StoragePolicy } from "./policy.ts";

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
  /** `receives`: what is made is put there. */
  readonly storages: readonly { readonly name: string; readonly policy: StoragePolicy; readonly receives: boolean }[];
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
  /** That went in this day's cleanup. */
  readonly removed: number;
  /** When the oldest of them was made. */
  readonly oldest: string | undefined;
}

export interface SimulatedDay {
  readonly at: Date;
  readonly storages: readonly SimulatedStorage[];
}

/** What the storages hold day after day when every run succeeds and each day ends with a cleanup. */
export function simulate(request: SimulationRequest, days: number): readonly SimulatedDay[] {
  const world = new World(request);
  const runs = request.runs[Symbol.iterator]();
  let next = runs.next();
  return Array.from({ length: days }, (_, day) => {
    const at = new Date(request.now.getTime() + (day + 1) * DAY_MS);
    for (; next.done !== true && next.value.at <= at; next = runs.next()) world.make(next.value);
    return { at, storages: world.cleanUp(at) };
  });
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
      copies: storages.flatMap(({ name, receives }) => (receives ? [{ storage: name, state: "complete" }] : [])),
    };
    this.#made.push(backup);
    if (mode === "full") this.#madeBy.set(id, run.schedule);
    this.#note(backup);
  }

  cleanUp(now: Date): readonly SimulatedStorage[] {
    const { storages, sources, timezone } = this.#request;
    const all = [...this.#backups, ...this.#made];
    const gone = new Map<BackupId, Set<string>>();
    const ends = storages.map(({ name, policy }): SimulatedStorage => {
      const verdicts = decideRetention({ backups: all, storage: name, policy, sources, now, timezone });
      const kept = verdicts.filter(({ keep }) => keep).map(({ backup }) => backup);
      for (const { backup, keep } of verdicts) {
        if (!keep) gone.set(backup.id, (gone.get(backup.id) ?? new Set()).add(name));
      }
      return {
        name,
        backups: kept.length,
        full: kept.filter(({ mode }) => mode === "full").length,
        bytes: kept.reduce((sum, { metadata }) => sum + metadata.stored_size, 0),
        removed: verdicts.length - kept.length,
        oldest: kept.at(-1)?.timestamp,
      };
    });
    this.#backups = all.flatMap((backup) => {
      const from = gone.get(backup.id);
      if (from === undefined) return [backup];
      const copies = backup.copies.filter(({ storage }) => !from.has(storage));
      return copies.length === 0 ? [] : [{ ...backup, copies }];
    });
    this.#made = [];
    return ends;
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
