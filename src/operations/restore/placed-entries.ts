import type { TreeEntry } from "../../format/index-reader.ts";
import { contains } from "../../platform/walk.ts";
import type { TreePlace } from "./place.ts";
import type { ChosenEntries } from "./selection.ts";

/** An entry and where it goes; every pass over the index meets the same ones. */
export interface PlacedEntry {
  readonly entry: TreeEntry;
  readonly name: Buffer;
  /** It is there only because something in it is restored: one that exists keeps what it has. */
  readonly isParent: boolean;
}

/** What the target's file system has to take for names of their own. */
export function* placedNames(job: Placing): Generator<Buffer> {
  for (const { name } of placedEntries(job)) yield name;
}

/** The names of all but folders. */
export function* placedFiles(job: Placing): Generator<Buffer> {
  for (const { entry, name } of placedEntries(job)) if (entry.type !== "directory") yield name;
}

/** Of a tree that is restored: what of it, where, and names (latin1) that are left out because they are damaged. */
interface Placing {
  readonly chosen: ChosenEntries;
  readonly place: TreePlace;
  readonly damaged: ReadonlySet<string>;
}

export function* placedEntries({ chosen, place, damaged }: Placing, withoutFiles = false): Generator<PlacedEntry> {
  for (const { entry, onlyAsParent } of withoutFiles ? chosen.withoutFiles() : chosen) {
    const name = place.nameOf(entry.name);
    if (name === undefined || name.length === 0 || damaged.has(entry.name.toString("latin1"))) continue;
    const holdsFolder = place.folders.some((folder) => contains(name, folder));
    yield { entry, name, isParent: onlyAsParent || holdsFolder };
  }
}
