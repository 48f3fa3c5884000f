import type { RunningRestore } from "../../catalog/catalog.ts";
import { IN_PLACE } from "../restore/record.ts";

/** What is left where a restore died. */
export function diedWarning({ at, target, sources, replaces }: RunningRestore): string {
  const what = `a restore of ${sources.join(", ")} (${target}) that began at ${at} died`;
  return replaces
    ? `${what}: what it restored may be neither old nor new. Restore it again, from a backup made before that time`
    : `${what}: nothing came to its place. What it made beside it is removed by the next restore to there`;
}

/** What a backup of these sources says of itself for good, where a restore in place left them between two states. */
export function mixedStates(died: readonly RunningRestore[], names: readonly string[]): readonly string[] {
  return died
    .filter(({ target, replaces }) => replaces && target === IN_PLACE)
    .map(({ at, sources }) => ({ at, held: sources.filter((name) => names.includes(name)) }))
    .filter(({ held }) => held.length > 0)
    .map(({ at, held }) => `${held.join(", ")}: a restore that began at ${at} died; this may be neither old nor new`);
}
