import * as fs from "node:fs";
import { isLeaving } from "../../platform/leavings.ts";
import type { BytePath } from "../../platform/walk.ts";
import { type Excludes, excludesOf } from "./excludes.ts";
import { type Root, resolveRoots } from "./roots.ts";
import type { SelectionOptions } from "./selection.ts";

interface Section {
  readonly root: Root;
  readonly excludes: Excludes;
}

/**
 * What a dump of these options leaves out, asked path by path: by pattern, by the mark of the folder that it lies in, or because another
 * file system is mounted there. Roots are looked up when it is first asked. Nothing outside the roots is left out by us.
 */
export function leftOutBy(
  options: SelectionOptions & { readonly paths: readonly string[] },
): (name: Buffer, isDirectory: boolean) => boolean {
  let sections: readonly Section[] | undefined;
  let last: { folder: BytePath; kept: readonly string[] | undefined } | undefined;

  function keptIn(section: Section, folder: BytePath): readonly string[] | undefined {
    if (last?.folder !== folder) last = { folder, kept: section.excludes.keptOfMarked(folder, membersOf(folder)) };
    return last.kept;
  }

  return (name, isDirectory) => {
    sections ??= sectionsOf(options);
    const path = `/${name.toString("latin1")}`;
    const section = sections.find(({ root }) => path.startsWith(`${root.path}/`));
    if (section === undefined || sections.some(({ root }) => root.path === path)) return false;
    if (section.excludes.excludes(path.slice(section.root.path.length + 1), isDirectory)) return true;
    if (options.one_file_system && isOnOtherDevice(path, section.root)) return true;
    const cut = path.lastIndexOf("/");
    if (isLeaving(path.slice(cut + 1))) return true;
    const kept = keptIn(section, path.slice(0, cut));
    return kept !== undefined && !kept.includes(path.slice(cut + 1));
  };
}

/** The innermost root first. */
function sectionsOf(options: SelectionOptions & { readonly paths: readonly string[] }): Section[] {
  return resolveRoots(options.paths)
    .found.toSorted((left, right) => right.path.length - left.path.length)
    .map((root) => ({ root, excludes: excludesOf(root.path, options) }));
}

function membersOf(folder: BytePath): readonly string[] {
  try {
    return fs.readdirSync(folder === "" ? "/" : Buffer.from(folder, "latin1"), { encoding: "latin1" });
  } catch {
    // Below another root than "/" the folder need not exist here; then it has no mark either.
    return [];
  }
}

function isOnOtherDevice(path: BytePath, root: Root): boolean {
  const stats = fs.lstatSync(Buffer.from(path, "latin1"), { bigint: true, throwIfNoEntry: false });
  return stats !== undefined && stats.dev !== root.device;
}
