import { join } from "node:path";
import { type Contender, dumpContenders, treeContenders, type Work } from "./contenders.ts";
import { startDatabase } from "./database.ts";
import { filesBelow } from "./folders.ts";
import { isInstalled } from "./installed.ts";
import { showBytes } from "./report.ts";
import { type Subject, treeSubject } from "./rounds.ts";
import { changeOnePercent, DUMP_NAME, type Sizes, type TreeName, treeOf } from "./trees.ts";

export const SPEED_SETS = ["mixed", "small", "large", "postgres"] as const;
/** What shows that memory is bounded. */
export const SIZE_SETS = ["million", "sparse", "dump"] as const;
export type SetName = (typeof SPEED_SETS | typeof SIZE_SETS)[number];

export const WORKS_OF_SET: Readonly<Record<SetName, readonly Work[]>> = {
  mixed: ["first", "unchanged", "changed", "restore", "one"],
  small: ["first", "unchanged", "changed", "restore", "one"],
  large: ["first", "unchanged", "changed", "restore", "one"],
  postgres: ["first", "unchanged", "changed", "restore"],
  million: ["first", "unchanged", "restore", "one", "verify"],
  sparse: ["first", "unchanged", "restore", "verify"],
  dump: ["first", "unchanged", "restore", "verify"],
};

const COMPARED_AT_SIZE: readonly string[] = ["backupctl", "restic", "program_zstd_age"];

export interface PreparedSet {
  readonly subject: Subject;
  readonly contenders: readonly Contender[];
  readonly description: string;
  stop(): Promise<void>;
}

/** Of the contenders those that are installed. */
export async function prepareSet(set: SetName, sizes: Sizes, cache: string): Promise<PreparedSet> {
  const prepared = await preparedSet(set, sizes, cache);
  const contenders = prepared.contenders.filter(({ needs }) => needs.every(isInstalled));
  return { ...prepared, contenders };
}

async function preparedSet(set: SetName, sizes: Sizes, cache: string): Promise<PreparedSet> {
  if (set === "postgres") return preparedDatabase(sizes);
  if (set === "dump") return preparedDump(sizes, cache);
  return preparedTree(set, sizes, cache);
}

async function preparedDatabase(sizes: Sizes): Promise<PreparedSet> {
  const { source, stop, ...subject } = await startDatabase(sizes.databaseBytes);
  return {
    subject: { set: "postgres", works: WORKS_OF_SET.postgres, ...subject },
    contenders: dumpContenders(source, "pg_dump"),
    description: `a PostgreSQL database, ${showBytes(subject.bytes)} as a dump`,
    stop,
  };
}

function preparedDump(sizes: Sizes, cache: string): PreparedSet {
  const command = ["cat", join(treeOf("dump", sizes, cache), DUMP_NAME)];
  const bytes = sizes.dumpBytes;
  return {
    subject: { set: "dump", works: WORKS_OF_SET.dump, bytes, variables: { DUMP: command.join(" ") } },
    contenders: dumpContenders(`{engine: command, command: ${JSON.stringify(command)}}`, "program").filter(({ key }) =>
      COMPARED_AT_SIZE.includes(key),
    ),
    description: `a program that prints ${showBytes(bytes)}`,
    stop: async () => undefined,
  };
}

function preparedTree(set: TreeName, sizes: Sizes, cache: string): PreparedSet {
  const folder = treeOf(set, sizes, cache);
  const files = filesBelow(folder);
  const works = WORKS_OF_SET[set];
  const change = works.includes("changed") ? () => changeOnePercent(folder) : undefined;
  const subject = treeSubject({ set, works, folder, files, change });
  const description = `${files.length === 1 ? "1 file" : `${files.length} files`}, ${showBytes(subject.bytes)}`;
  const stop = async () => undefined;
  const all = treeContenders();
  if (works.includes("changed")) return { subject, contenders: all, description, stop };
  const contenders = all.filter(({ key }) => COMPARED_AT_SIZE.includes(key));
  return { subject, contenders: set === "sparse" ? contenders.map(withoutHoles) : contenders, description, stop };
}

/** Not every restic can restore holes, and it would write them all. */
function withoutHoles(contender: Contender): Contender {
  if (contender.key !== "restic") return contender;
  const { restore: _, ...scripts } = contender.scripts;
  return { ...contender, scripts };
}
