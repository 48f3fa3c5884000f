import ignore from "ignore";
import type { StreamEntry } from "../../domain/artifact.ts";
import { readTreeIndex, type TreeEntry } from "../../format/index-reader.ts";
import { sizeOfAttributes } from "../../platform/extended-attributes.ts";
import { contains } from "../../platform/walk.ts";

/** What `--include` and `--exclude` choose of a source. `undefined`: everything. */
export interface Selection {
  readonly include: readonly string[];
  readonly exclude: readonly string[];
}

/** @returns `undefined` where nothing is narrowed */
export function selectionOf(request: Selection): Selection | undefined {
  const { include, exclude } = request;
  return include.length + exclude.length === 0 ? undefined : { include, exclude };
}

export interface SelectedEntry {
  readonly entry: TreeEntry;
  /** A directory that was not chosen itself: something in it was. */
  readonly onlyAsParent: boolean;
}

/**
 * The chosen entries of a tree's index, in order, each with the directories that it lies in before it.
 * Patterns are gitignore's; one with a slash in its middle matches at any depth, one that begins with a slash from the root.
 * A pattern is also taken literally, as a path: nobody should have to escape a name with brackets.
 */
export function* selectedEntries(indexFile: string, selection: Selection | undefined): Generator<SelectedEntry> {
  if (selection === undefined) {
    for (const entry of readTreeIndex(indexFile)) yield { entry, onlyAsParent: false };
    return;
  }
  const chosen = treeFilter(selection);
  let parents: TreeEntry[] = [];
  for (const entry of readTreeIndex(indexFile, (name) => chosen(name, false))) {
    parents = parents.filter((parent) => contains(parent.name, entry.name));
    if (chosen(entry.name, entry.type === "directory")) {
      for (const parent of parents) yield { entry: parent, onlyAsParent: true };
      parents = [];
      yield { entry, onlyAsParent: false };
    } else if (entry.type === "directory") parents.push(entry);
  }
}

/** How many entries and chunks may still be kept in memory, 400 bytes of attributes being one; all sources of a restore share it. */
export interface EntriesBudget {
  parts: number;
}

/** Some 20 MB. */
export function newEntriesBudget(): EntriesBudget {
  return { parts: 50_000 };
}

/** What `selectedEntries` gives, for those who need it several times: read and parsed once where the budget allows, else each time. */
export class ChosenEntries implements Iterable<SelectedEntry> {
  readonly #indexFile: string;
  readonly #selection: Selection | undefined;
  readonly #budget: EntriesBudget;
  #kept: readonly SelectedEntry[] | undefined;

  constructor(indexFile: string, selection: Selection | undefined, budget: EntriesBudget) {
    this.#budget = budget;
    this.#indexFile = indexFile;
    this.#selection = selection;
  }

  *[Symbol.iterator](): Generator<SelectedEntry> {
    if (this.#kept !== undefined) return yield* this.#kept;
    const kept: SelectedEntry[] = [];
    let parts = 0;
    for (const chosen of selectedEntries(this.#indexFile, this.#selection)) {
      const { chunks, attributes } = chosen.entry;
      parts += 1 + chunks.length + sizeOfAttributes(attributes) / 400;
      if (parts <= this.#budget.parts) kept.push(chosen);
      else kept.length = 0;
      yield chosen;
    }
    // The index's end was seen, and is as it should be.
    if (parts > this.#budget.parts) return;
    this.#budget.parts -= parts;
    this.#kept = kept;
  }

  /** Directories and symlinks only. Files are not even parsed, unless a selection has to be asked which directories they bring. */
  *withoutFiles(): Generator<SelectedEntry> {
    if (this.#kept === undefined && this.#selection === undefined) {
      for (const entry of readTreeIndex(this.#indexFile, () => false)) yield { entry, onlyAsParent: false };
      return;
    }
    for (const chosen of this) if (chosen.entry.type !== "file") yield chosen;
  }
}

type NameFilter = (name: Buffer, isDirectory: boolean) => boolean;

function treeFilter({ include, exclude }: Selection): NameFilter {
  const included = include.length === 0 ? () => true : matcher(include);
  const excluded = exclude.length === 0 ? () => false : matcher(exclude);
  return (name, isDirectory) => included(name, isDirectory) && !excluded(name, isDirectory);
}

/** `ignore` remembers every path that it was ever asked about; a tree of a million files must not stay in memory. */
const REMEMBERED_PATHS = 20_000;

function matcher(patterns: readonly string[]): NameFilter {
  const fresh = () => ignore({ ignorecase: false, allowRelativePaths: true }).add(patterns.map(atAnyDepth));
  const literal = patterns.map((pattern) => Buffer.from(pattern.replace(/^\/+|\/+$/g, ""), "utf8"));
  let rules = fresh();
  let asked = 0;
  return (name, isDirectory) => {
    if (literal.some((path) => path.equals(name) || (path.length > 0 && contains(path, name)))) return true;
    if (++asked % REMEMBERED_PATHS === 0) rules = fresh();
    return rules.ignores(`${name.toString("utf8")}${isDirectory ? "/" : ""}`);
  };
}

/** Gitignore anchors `a/b` at the root; an operator who writes it means wherever the source lies. */
function atAnyDepth(pattern: string): string {
  const negated = pattern.startsWith("!") ? "!" : "";
  const body = pattern.slice(negated.length);
  const isAnchored = /.\/./.test(body) && !body.startsWith("/") && !body.startsWith("**/");
  return isAnchored ? `${negated}**/${body}` : pattern;
}

/** Entries of a stream by name: `app` means it and what is in it (`app/public.orders`). */
export function selectedParts(
  entries: readonly StreamEntry[],
  selection: Selection | undefined,
): readonly StreamEntry[] {
  if (selection === undefined) return entries;
  const matches = (patterns: readonly string[], name: string): boolean =>
    patterns.some((pattern) => name === pattern || name.startsWith(`${pattern}/`));
  const { include, exclude } = selection;
  return entries.filter(({ name }) => (include.length === 0 || matches(include, name)) && !matches(exclude, name));
}
