import type { BigIntStats } from "node:fs";
import { isLeaving } from "../../platform/leavings.ts";
import { type BytePath, type WalkRules, walk } from "../../platform/walk.ts";
import { type ExcludeOptions, type Excludes, excludesOf } from "./excludes.ts";
import type { Root } from "./roots.ts";

export interface SelectionOptions extends ExcludeOptions {
  readonly one_file_system: boolean;
}

interface SelectionEvents {
  readonly unreadable: (path: BytePath, error: unknown) => void;
  /** Sockets, pipes and devices, which have no content to store. */
  readonly special: (path: BytePath, stats: BigIntStats) => void;
  /** What an interrupted restore left: no part of the source. */
  readonly leaving: (path: BytePath) => void;
}

/** The root that a directory belongs to; a mere parent of roots belongs to none. */
interface Inside {
  readonly root: Root;
  readonly excludes: Excludes;
}
type Place = Inside | "ancestor";

/**
 * The entries of a files source in index order: every root with what is in it, less what is excluded, and the parents of each root.
 * Roots may lie inside one another; the inner one then has its own say (its own device, its own anchor for patterns, and it is
 * never excluded by the outer one's patterns).
 */
export function select(
  roots: readonly Root[],
  options: SelectionOptions,
  events: SelectionEvents,
): ReturnType<typeof walk> {
  const inside = new Map<BytePath, Inside>();
  const leading = new Map<BytePath, Set<string>>();
  for (const root of roots) {
    inside.set(root.path, { root, excludes: excludesOf(root.path, options) });
    addLeading(root.path, leading);
  }

  const rules: WalkRules<Place> = {
    *members(directory, place, read) {
      const onTheWay = [...(leading.get(directory) ?? [])];
      if (place === "ancestor") return onTheWay;
      const names = (yield* read()).filter((name) => !isLeft(directory, name));
      const kept = place.excludes.keptOfMarked(directory, names);
      return kept === undefined ? names : [...new Set([...kept, ...onTheWay])];
    },
    accept(path, stats, parent) {
      const own = inside.get(path);
      if (stats.isDirectory()) return acceptDirectory(path, stats, own, parent);
      if (own === undefined && (parent === "ancestor" || isLeftOut(path, stats, parent))) return undefined;
      if (stats.isFile() || stats.isSymbolicLink()) return {};
      events.special(path, stats);
      return undefined;
    },
    failed: events.unreadable,
  };

  function isLeft(directory: BytePath, name: string): boolean {
    if (!isLeaving(name)) return false;
    events.leaving(`${directory}/${name}`);
    return true;
  }

  function acceptDirectory(path: BytePath, stats: BigIntStats, own: Inside | undefined, parent: Place) {
    if (own !== undefined) return { state: own };
    const way: { readonly state?: Place } | undefined = leading.has(path) ? { state: "ancestor" } : undefined;
    if (parent === "ancestor") return way;
    if (parent.excludes.excludes(relativeTo(parent.root, path), true)) return way;
    // A mount point is kept as an empty directory, so that a restored system can mount there again.
    if (options.one_file_system && stats.dev !== parent.root.device) return way ?? {};
    return { state: parent };
  }

  function isLeftOut(path: BytePath, stats: BigIntStats, parent: Inside): boolean {
    if (options.one_file_system && stats.dev !== parent.root.device) return true;
    return parent.excludes.excludes(relativeTo(parent.root, path), false);
  }

  return walk("", inside.get("") ?? "ancestor", rules);
}

function relativeTo(root: Root, path: BytePath): BytePath {
  return path.slice(root.path.length + 1);
}

/** Notes for every parent of a root which member leads there. */
function addLeading(path: BytePath, leading: Map<BytePath, Set<string>>): void {
  for (let end = path.lastIndexOf("/"), rest = path; end >= 0; rest = rest.slice(0, end), end = rest.lastIndexOf("/")) {
    const parent = rest.slice(0, end);
    const members = leading.get(parent) ?? new Set<string>();
    members.add(rest.slice(end + 1));
    leading.set(parent, members);
  }
}
