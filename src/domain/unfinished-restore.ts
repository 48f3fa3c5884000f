/** The target of a restore to its own place. */
export const IN_PLACE = "in place";

/** How far a restore is with a source: nothing of it came to its place yet, some may have, all has. */
export const STAGES = ["beside", "coming", "come"] as const;
export type RestoreStage = (typeof STAGES)[number];

export interface RestoredPlace {
  readonly source: string;
  /** As the plan shows it. */
  readonly place: string;
  readonly stage: RestoreStage;
  /** A backup that holds the source says for good how the restore left it. */
  readonly marked: boolean;
}

/** `mixed`: it failed when some of what it has had come to its own place, or may have. */
export type RestoreStatus = "running" | "completed" | "failed" | "mixed";

/** A restore that runs, or died, or is mixed. */
export interface UnfinishedRestore {
  readonly at: string;
  readonly target: string;
  readonly status: RestoreStatus;
  readonly places: readonly RestoredPlace[];
}

const FOUND: Readonly<Record<RestoreStage, string>> = {
  beside: "is as it was",
  coming: "may hold some of the backup and some of what was there",
  come: "is the backup's",
};

/** What is left where a restore died or failed, in words for the next run. */
export function unfinishedWarning(restore: UnfinishedRestore): string {
  const { target, places } = restore;
  const what = `a restore of ${places.map(({ source }) => source).join(", ")} (${target}) ${endOf(restore)}`;
  if (isMixed(places)) {
    const again = target === IN_PLACE ? ", from a backup made before that time" : "";
    return `${what}, and what it restored may be neither old nor new: ${found(places)}. Restore it again${again}`;
  }
  return places.some(({ stage }) => stage === "come")
    ? `${what} when all of it had come to its place`
    : `${what}: nothing came to its place. What it made beside it is removed, or named, by the next restore to there`;
}

/** What a backup that holds these sources says of itself for good, where a restore in place left them between two states. */
export function unfinishedMark(restore: UnfinishedRestore, held: readonly string[]): string | undefined {
  const { target, places } = restore;
  if (target !== IN_PLACE || !isMixed(places) || !places.some(({ source }) => held.includes(source))) return undefined;
  return `a restore ${endOf(restore)}, so this may be neither old nor new: ${found(places)}`;
}

/** Of which places it has still to be said how the restore left them, after a backup that holds some sources of all that there are. */
export function unsaidAfterBackup(
  { target, places }: UnfinishedRestore,
  held: readonly string[],
  configured: readonly string[],
): readonly RestoredPlace[] {
  if (target !== IN_PLACE || !isMixed(places)) return [];
  const now = places.map((place) => ({ ...place, marked: place.marked || held.includes(place.source) }));
  return now.every(({ source, marked }) => marked || !configured.includes(source)) ? [] : now;
}

/** The same after a restore that put all that it had into these places. */
export function unsaidAfterRestore(
  { places }: UnfinishedRestore,
  restored: readonly string[],
): readonly RestoredPlace[] {
  const left = places.filter(({ place }) => !restored.includes(place));
  return left.length === places.length || isMixed(left) ? left : [];
}

/** What a restore that failed is: to its own place it may have left what nobody knows for the old or the new. */
export function statusOfFailed({ target, places }: Pick<UnfinishedRestore, "target" | "places">): RestoreStatus {
  return target === IN_PLACE && isMixed(places) ? "mixed" : "failed";
}

function endOf({ at, status }: UnfinishedRestore): string {
  return `that began at ${at} ${status === "mixed" ? "failed" : "died"}`;
}

/** Some of it is new and some is old, or may be. */
function isMixed(places: readonly RestoredPlace[]): boolean {
  const stages = new Set(places.map(({ stage }) => stage));
  return stages.has("coming") || stages.size > 1;
}

function found(places: readonly RestoredPlace[]): string {
  return places.map(({ source, stage }) => `${source} ${FOUND[stage]}`).join(", ");
}
