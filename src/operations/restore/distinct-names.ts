import { BackupctlError } from "../../errors.ts";
import { areOneName, mergesNames } from "../../platform/tree/one-name.ts";
import { withTurns } from "../../platform/turns.ts";
import { showPath } from "../../platform/walk.ts";

/**
 * Two entries whose names are spelt differently would become one where the target takes them for one, whichever is written last: in case,
 * or as a form of Unicode. A target may do so as a whole, or in a folder where another disk is mounted.
 * @param root an existing folder, or one that will be made
 * @param names relative to it, in index order
 * @throws `RESTORE_FAILED`
 */
export async function requireDistinctNames(root: string, names: Iterable<Buffer>, signal: AbortSignal): Promise<void> {
  const siblings = new Siblings();
  const target = new Target(root);
  for await (const name of withTurns(names, signal)) {
    for (const twins of siblings.add(name.toString("utf8"))) {
      if (!target.takesForOne(twins)) continue;
      const shown = twins.members.map((member) =>
        showPath(Buffer.from([...twins.folder, member].join("/")).toString("latin1")),
      );
      throw new BackupctlError("RESTORE_FAILED", `${shown.join(" and ")} are one name in the target`, {
        hint: "Restore to another file system with --to PATH, or leave one of them out with --exclude. Nothing was written.",
      });
    }
  }
}

interface Twins {
  readonly folder: readonly string[];
  readonly members: readonly [string, string];
}

/** Asks the file system; of most folders once, since most take every spelling for a name of its own. */
class Target {
  readonly #root: string;
  #last: { readonly place: string; readonly merges: boolean } | undefined;

  constructor(root: string) {
    this.#root = root;
  }

  takesForOne({ folder, members }: Twins): boolean {
    const place = [this.#root, ...folder].join("/");
    if (this.#last?.place !== place) this.#last = { place, merges: mergesNames(place) };
    return this.#last.merges && areOneName(place, members);
  }
}

interface OpenFolder {
  readonly name: string;
  readonly members: Members;
}

/** By what they have in common wherever spellings are one. */
type Members = Map<string, string[]>;

/** Knows the members of those folders only that the last name lies in: what is below a folder follows it directly. */
class Siblings {
  readonly #root: Members = new Map();
  readonly #open: OpenFolder[] = [];

  /** The pairs that the name brings. */
  add(name: string): readonly Twins[] {
    const parts = name.split("/");
    let shared = 0;
    while (shared < this.#open.length && this.#open[shared]?.name === parts[shared]) shared++;
    this.#open.length = shared;
    const twins: Twins[] = [];
    for (const part of parts.slice(shared)) {
      const members = this.#open.at(-1)?.members ?? this.#root;
      const folded = withoutSpelling(part);
      const others = members.get(folded);
      if (others === undefined) members.set(folded, [part]);
      else if (!others.includes(part)) {
        const folder = this.#open.map((open) => open.name);
        twins.push(...others.map((other): Twins => ({ folder, members: [other, part] })));
        others.push(part);
      }
      this.#open.push({ name: part, members: new Map() });
    }
    return twins;
  }
}

/** The same of all names that any file system takes for one; which of them this one does it is asked itself. */
function withoutSpelling(name: string): string {
  if (/^[\0-\x7f]*$/.test(name)) return name.toLowerCase();
  const letters = name.normalize("NFKD").replace(/\p{Default_Ignorable_Code_Point}/gu, "");
  return letters.toUpperCase().toLowerCase();
}
