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
  /** A backup that holds the source says for good that the restore died. */
  readonly marked: boolean;
}

/** A restore that did not end: it runs, or died. */
export interface DiedRestore {
  readonly at: string;
  readonly target: string;
  readonly places: readonly RestoredPlace[];
}

const FOUND: Readonly<Record<RestoreStage, string>> = {
  beside: "is as it was",
  coming: "may hold some of the backup and some of what was there",
  come: "is the backup's",
};

/** What is left where a restore died, in words for the next run. */
export function diedWarning({ at, target, places }: DiedRestore): string {
  const what = `a restore of ${places.map(({ source }) => source).join(", ")} (${target}) that began at ${at} died`;
  if (isMixed(places)) {
    const again = target === IN_PLACE ? ", from a backup made before that time" : "";
    return `${what}, and what it restored may be neither old nor new: ${found(places)}. Restore it again${again}`;
  }
  return places.some(({ stage }) => stage === "come")
    ? `${what} when all of it had come to its place`
    : `${what}: nothing came to its place. What it made beside it is removed, or named, by the next restore to there`;
}

/** What a backup that holds these sources says of itself for good, where a restore in place left them between two states. */
export function diedMark({ at, target, places }: DiedRestore, held: readonly string[]): string | undefined {
  if (target !== IN_PLACE || !isMixed(places) || !places.some(({ source }) => held.includes(source))) return undefined;
  return `a restore that began at ${at} died, so this may be neither old nor new: ${found(places)}`;
}

/** Of which places it has still to be said that the restore died, after a backup that holds some sources of all that there are. */
export function unsaidAfterBackup(
  { target, places }: DiedRestore,
  held: readonly string[],
  configured: readonly string[],
): readonly RestoredPlace[] {
  if (target !== IN_PLACE || !isMixed(places)) return [];
  const now = places.map((place) => ({ ...place, marked: place.marked || held.includes(place.source) }));
  return now.every(({ source, marked }) => marked || !configured.includes(source)) ? [] : now;
}

/** The same after a restore that put all that it had into these places. */
export function unsaidAfterRestore({ places }: DiedRestore, restored: readonly string[]): readonly RestoredPlace[] {
  const left = places.filter(({ place }) => !restored.includes(place));
  return left.length === places.length || isMixed(left) ? left : [];
}

/** Some of it is new and some is old, or may be. */
function isMixed(places: readonly RestoredPlace[]): boolean {
  const stages = new Set(places.map(({ stage }) => stage));
  return stages.has("coming") || stages.size > 1;
}

function found(places: readonly RestoredPlace[]): string {
  return places.map(({ source, stage }) => `${source} ${FOUND[stage]}`).join(", ");
}
