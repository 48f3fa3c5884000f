import { setImmediate as turn } from "node:timers/promises";
import { BackupctlError } from "../../errors.ts";
import { ignoresCase } from "../../platform/tree/ignored-case.ts";
import { showPath } from "../../platform/walk.ts";

const NAMES_BETWEEN_TURNS = 1_000;

/**
 * Two entries that differ in case alone would become one where case does not count, whichever is written last: a target may ignore it
 * as a whole, or in a folder where another disk is mounted.
 * @param root an existing folder
 * @param names relative to it, in index order
 * @throws `RESTORE_FAILED`
 */
export async function requireDistinctNames(root: string, names: Iterable<Buffer>, signal: AbortSignal): Promise<void> {
  const siblings = new Siblings();
  let count = 0;
  for (const name of names) {
    if (++count % NAMES_BETWEEN_TURNS === 0) await turn();
    signal.throwIfAborted();
    const twins = siblings.add(name.toString("utf8"));
    if (twins === undefined || !ignoresCase(root, twins.folder)) continue;
    const shown = twins.members.map((member) =>
      showPath(Buffer.from([...twins.folder, member].join("/")).toString("latin1")),
    );
    throw new BackupctlError(
      "RESTORE_FAILED",
      `${shown.join(" and ")} are one name in the target, which ignores case`,
      {
        hint: "Restore to another file system with --to PATH, or leave one of them out with --exclude. Nothing was written.",
      },
    );
  }
}

interface Twins {
  readonly folder: readonly string[];
  readonly members: readonly [string, string];
}

interface OpenFolder {
  readonly name: string;
  /** By what they are where case does not count. */
  readonly members: Map<string, string>;
}

/** Knows the members of those folders only that the last name lies in: what is below a folder follows it directly. */
class Siblings {
  readonly #root = new Map<string, string>();
  readonly #open: OpenFolder[] = [];

  add(name: string): Twins | undefined {
    const parts = name.split("/");
    let shared = 0;
    while (shared < this.#open.length && this.#open[shared]?.name === parts[shared]) shared++;
    this.#open.length = shared;
    let twins: Twins | undefined;
    for (const part of parts.slice(shared)) {
      const members = this.#open.at(-1)?.members ?? this.#root;
      const folded = part.toLowerCase();
      const other = members.get(folded);
      if (other === undefined) members.set(folded, part);
      else if (other !== part) twins ??= { folder: this.#open.map((folder) => folder.name), members: [other, part] };
      this.#open.push({ name: part, members: new Map() });
    }
    return twins;
  }
}
