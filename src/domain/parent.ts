import { BackupctlError } from "../errors.ts";
import type { BackupMetadata, LineageMember, Mode } from "./backup.ts";
import { type Duration, describeDuration } from "./duration.ts";
import { type DueRun, isFullDue } from "./full-every.ts";
import { isGood, type KnownBackup, newestFirst, wholeSourcesOf } from "./known-backup.ts";

export interface ParentRequest {
  readonly mode: Mode;
  readonly type: string;
  /** The sources that the new backup takes. */
  readonly sources: readonly string[];
  readonly backups: readonly KnownBackup[];
  /** Name of the storage that is built on: a parent and all its ancestors must be complete there. */
  readonly storage: string;
  /** Whether one of the configured keys opens that backup; true for a backup without encryption. */
  readonly hasKey: (backup: KnownBackup) => boolean;
  /** The most members that a lineage may have, the new backup included. */
  readonly maxChain: number;
  readonly fullEvery: Duration;
  readonly now: Date;
  /** That of a schedule which makes it. */
  readonly run?: DueRun | undefined;
}

export interface ParentDecision {
  /** The mode that the backup will have; not always the one asked for. */
  readonly mode: Mode;
  readonly parent?: KnownBackup & { readonly metadata: BackupMetadata };
  /** From the full backup to the parent, every member with its checksum; empty for a full one. */
  readonly lineage: readonly LineageMember[];
  /** Why the decision is not simply the newest backup in the mode asked for; to be told to the operator. */
  readonly reason?: string;
  /** The newest of its type, where that can't be built on. */
  readonly passedOver?: KnownBackup;
}

/**
 * What a new backup builds on: the newest good backup of the same type whose ancestors, key and copies there all exist; for
 * a differential its newest full. Among good ones those that hold most of the wanted sources come first, so a source
 * that failed last time is stored as changes against the last time it did not. Without such a backup a full one is made.
 * @throws `CLOCK_SKEWED` if the parent was completed after `now`.
 */
export function chooseParent(request: ParentRequest): ParentDecision {
  if (request.mode === "full") return { mode: "full", lineage: [] };
  const candidates = request.backups
    .filter((backup) => backup.type === request.type && backup.committed)
    .filter((backup) => request.mode === "incremental" || backup.mode === "full")
    .sort(newestFirst);
  const newest = candidates[0];
  if (newest === undefined) {
    const wanted = request.mode === "differential" ? "full backup" : "backup";
    return fullBecause(`there is no ${wanted} of type ${request.type} yet`);
  }
  const parent = bestOf(candidates, request);
  if (parent === undefined) return { ...fullBecause(whyPassedOver(newest, request)), passedOver: newest };
  if (parent === newest) return withinLimits(request, parent);
  const decision = withinLimits(request, parent);
  return { ...decision, reason: decision.reason ?? whyPassedOver(newest, request), passedOver: newest };
}

function whyPassedOver(backup: KnownBackup, request: ParentRequest): string {
  const failed = request.sources.filter((name) => !wantedSourcesOf(backup, request).includes(name));
  const defect = defectOf(backup, request) ?? `it lacks ${failed.join(", ")}`;
  return `${nameOf(backup)} can't be built on: ${defect}`;
}

/** Applies `full_every` and `max_chain` to a parent that is otherwise good. Of all backups it looks at full ones only. */
export function withinLimits(request: ParentRequest, parent: Usable): ParentDecision {
  const full = request.backups.find((backup) => backup.id === parent.metadata.lineage[0]?.id) ?? parent;
  if (isFullDue(full, request.fullEvery, request.now, request.run)) {
    return fullBecause(
      `the full backup ${nameOf(full)} has reached ${describeDuration(request.fullEvery)} (full_every)`,
    );
  }
  if (parent.metadata.lineage.length + 1 > request.maxChain) {
    const reason = `the chain has reached ${request.maxChain} backups (max_chain)`;
    if (request.mode === "differential") return fullBecause(reason);
    const instead = chooseParent({ ...request, mode: "differential" });
    return { ...instead, reason: instead.reason === undefined ? reason : `${reason}; ${instead.reason}` };
  }
  refuseClockBehind(parent, request.now);
  return {
    mode: request.mode,
    parent,
    lineage: parent.metadata.lineage.map((member) =>
      member.id === parent.id ? { ...member, checksum: parent.metadata.checksum } : member,
    ),
  };
}

export type Usable = KnownBackup & { readonly metadata: BackupMetadata };

function bestOf(candidates: readonly KnownBackup[], request: ParentRequest): Usable | undefined {
  let best: Usable | undefined;
  let bestCount = 0;
  for (const candidate of candidates) {
    if (bestCount === request.sources.length) break;
    const count = wantedSourcesOf(candidate, request).length;
    if (count > bestCount && isUsable(candidate, request)) {
      best = candidate;
      bestCount = count;
    }
  }
  return best;
}

function isUsable(backup: KnownBackup, request: ParentRequest): backup is Usable {
  return backup.metadata !== undefined && defectOf(backup, request) === undefined;
}

function wantedSourcesOf(backup: KnownBackup, request: ParentRequest): readonly string[] {
  return wholeSourcesOf(backup).filter((name) => request.sources.includes(name));
}

/** Why nothing can be built on this backup; `undefined` if something can. */
function defectOf(backup: KnownBackup, request: ParentRequest): string | undefined {
  const own = ownDefectOf(backup, request);
  if (own !== undefined) return own;
  if (wantedSourcesOf(backup, request).length === 0) return "none of the sources is good in it";
  for (const member of backup.metadata?.lineage ?? []) {
    if (member.id === backup.id) continue;
    const ancestor = request.backups.find((candidate) => candidate.id === member.id);
    if (ancestor === undefined) return `its ancestor ${member.path} is missing`;
    const defect = ownDefectOf(ancestor, request);
    if (defect !== undefined) return `of its ancestor ${nameOf(ancestor)}: ${defect}`;
  }
  return undefined;
}

function ownDefectOf(backup: KnownBackup, request: ParentRequest): string | undefined {
  if (!backup.committed) return "it was never completed";
  if (!backup.trusted) return "its authenticity is not proven";
  if (backup.notes.quarantine !== undefined) return "it is quarantined";
  if (backup.notes.verified?.passed === false) return "its last verification failed";
  if (!isGood(backup)) return `its status is ${backup.status}`;
  const copy = backup.copies.find((candidate) => candidate.storage === request.storage);
  if (copy?.state !== "complete") return `its copy in storage ${request.storage} is ${copy?.state ?? "missing"}`;
  return request.hasKey(backup) ? undefined : "its encryption key is not configured";
}

function refuseClockBehind(parent: Usable, now: Date): void {
  const completedAt = new Date(parent.metadata.completed_at);
  if (completedAt.getTime() <= now.getTime()) return;
  throw new BackupctlError(
    "CLOCK_SKEWED",
    `this host's clock (${now.toISOString()}) is behind backup ${parent.id}, completed ${completedAt.toISOString()}`,
    {
      hint: "Set the clock of this host, or of the host that made that backup; `timedatectl` shows whether it is synchronised.",
    },
  );
}

function fullBecause(reason: string): ParentDecision {
  return { mode: "full", lineage: [], reason };
}

function nameOf(backup: KnownBackup): string {
  return backup.id.slice(0, 8);
}
