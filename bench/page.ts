import { execFileSync } from "node:child_process";
import { availableParallelism, cpus, release, totalmem } from "node:os";
import { installedVersions } from "./installed.ts";
import { alignedTable, type SetReport, showBytes, startupTable, tableOf, WORK_TITLES } from "./report.ts";
import type { Results } from "./results.ts";
import type { Scratch } from "./scratch.ts";
import { type SetName, SIZE_SETS, SPEED_SETS, WORKS_OF_SET } from "./sets.ts";

export type Surroundings = Readonly<Record<string, string | number>>;

/** What a figure can't be compared without. */
export function surroundings(
  runs: { readonly quick: boolean; readonly scratch: Scratch["kind"] },
  /** How many cores other programs kept busy; unknown where servers that are measured are such programs. */
  otherCores?: number,
): Surroundings {
  const versions = Object.entries(installedVersions()).map(([name, version]) => [`about.version.${name}`, version]);
  return {
    "about.date": new Date().toISOString().slice(0, 10),
    "about.commit": execFileSync("git", ["-C", import.meta.dirname, "rev-parse", "--short", "HEAD"], {
      encoding: "utf8",
    }).trim(),
    "about.processor": cpus()[0]?.model.trim() ?? "unknown",
    "about.cores": availableParallelism(),
    "about.memory_bytes": totalmem(),
    "about.system": `Linux ${release()}`,
    "about.repositories_in": runs.scratch,
    "about.data": runs.quick ? "small (--quick): a look, not a measurement" : "full size",
    ...(otherCores === undefined ? {} : { "about.other_cores": Math.round(otherCores * 100) / 100 }),
    ...Object.fromEntries(versions),
  };
}

interface Goal {
  readonly title: string;
  readonly key: string;
  readonly atLeast?: number;
  readonly atMost?: number;
}

const memoryGoals = (set: SetName, atMost: number): readonly Goal[] =>
  WORKS_OF_SET[set].map((work) => ({
    title: `MB of memory, ${set}, ${WORK_TITLES[work]}`,
    key: `${set}.${work}.backupctl.peak_memory_bytes`,
    atMost,
  }));

const GOALS: readonly Goal[] = [
  { title: "mixed files, first backup, speed against restic", key: "mixed.first.time_vs_restic", atLeast: 1.5 },
  { title: "the same against tar, zstd, age", key: "mixed.first.time_vs_tar_zstd_age", atLeast: 1 },
  { title: "small files, first backup, speed against restic", key: "small.first.time_vs_restic", atLeast: 1.3 },
  { title: "mixed files, unchanged, speed against restic", key: "mixed.unchanged.time_vs_restic", atLeast: 1.5 },
  { title: "small files, unchanged, speed against restic", key: "small.unchanged.time_vs_restic", atLeast: 1.5 },
  { title: "large files, unchanged, speed against restic", key: "large.unchanged.time_vs_restic", atLeast: 1.5 },
  { title: "mixed files, restore, speed against restic", key: "mixed.restore.time_vs_restic", atLeast: 1.2 },
  { title: "small files, restore, speed against restic", key: "small.restore.time_vs_restic", atLeast: 1.2 },
  { title: "large files, restore, speed against restic", key: "large.restore.time_vs_restic", atLeast: 1.2 },
  { title: "dump, speed against pg_dump, zstd, age", key: "postgres.first.time_vs_pg_dump_zstd_age", atLeast: 1 },
  ...SPEED_SETS.flatMap((set) =>
    (["first", "changed"] as const).map((work) => ({
      title: `restic's stored bytes to ours, ${set}, ${WORK_TITLES[work]}`,
      key: `${set}.${work}.stored_vs_restic`,
      atLeast: 1,
    })),
  ),
  ...SPEED_SETS.flatMap((set) => memoryGoals(set, 256e6)),
  { title: "seconds to `--help`", key: "startup.help.seconds", atMost: 0.1 },
  { title: "seconds to `list` with 10,000 backups", key: "startup.list.seconds", atMost: 0.2 },
  ...(["create", "delete", "rebuild", "verify"] as const).map((run) => ({
    title: `MB of memory, 10,000 backups, ${run}`,
    key: `startup.${run}.peak_memory_bytes`,
    atMost: 256e6,
  })),
];

const SIZE_GOALS: readonly Goal[] = [
  ...memoryGoals("million", 400e6),
  ...memoryGoals("sparse", 256e6),
  ...memoryGoals("dump", 256e6),
];

function goalsTable(goals: readonly Goal[], results: Results): string {
  const rows = goals.map(({ title, key, atLeast = 0, atMost = Number.POSITIVE_INFINITY }) => {
    const value = results[key];
    const show = (number: number): string => (key.endsWith("_bytes") ? showBytes(number) : number.toFixed(2));
    const goal = atMost === Number.POSITIVE_INFINITY ? `≥ ${show(atLeast)}` : `≤ ${show(atMost)}`;
    if (value === undefined) return [title, goal, "not measured", ""];
    return [title, goal, show(value), value >= atLeast && value <= atMost ? "yes" : "**no**"];
  });
  return alignedTable([["what", "goal", "measured", "reached"], ...rows]);
}

const KEYS = `## Keys of \`--json\`

One flat object. \`SET\` is \`mixed\`, \`small\`, \`large\`, \`postgres\`, \`million\`, \`sparse\` or \`dump\`; \`WORK\` is \`first\`, \`unchanged\`, \`changed\`,
\`restore\`, \`one\` or \`verify\`; \`TOOL\` is \`backupctl\`, \`backupctl_no_verify\`, \`restic\`, \`borg\`, \`tar_zstd_age\`, \`pg_dump_zstd_age\`, \`pg_dump\` or \`program_zstd_age\`.
A key is missing where a tool does not do the work, where a set was not run, and where backupctl's figure is 0 (\`verify\` stores nothing).

| Key | Value |
| --- | --- |
| \`SET.rounds\` | how many rounds the medians are of |
| \`SET.WORK.TOOL.seconds\`, \`.cpu_seconds\` | medians of the rounds: time that passed; processor time of all processes |
| \`SET.WORK.TOOL.bytes_per_second\` | bytes backed up or restored, before compression, by seconds |
| \`SET.WORK.TOOL.stored_bytes\` | by how much the repository grew; of a restore, what the files take on the disk |
| \`SET.WORK.TOOL.peak_memory_bytes\` | the most that all processes had resident together, looked at fifty times a second |
| \`SET.WORK.time_vs_TOOL\`, \`cpu_vs_TOOL\`, \`stored_vs_TOOL\`, \`memory_vs_TOOL\` | TOOL's figure divided by backupctl's: above 1 backupctl is faster, or needs less |
| \`SET.WORK.no_verify.time_vs_TOOL\` and so on | the same for \`backupctl create --no-verify\` |
| \`startup.RUN.seconds\`, \`.cpu_seconds\`, \`.peak_memory_bytes\` | in a repository of \`startup.backups\` backups of one small file: \`help\`, \`list\` (20 of them), \`list_json\` (all), \`show\` (the newest), \`status\`, \`delete\` (\`--dry-run\`, of the newest), \`create\` (one more), \`rebuild\` (of a catalog that knows three), \`verify\` (\`--all --quick\`) |
| \`about.*\` | date, commit, machine and versions; \`about.repositories_in\` is the kind of file system of repositories, \`about.other_cores\` is how many cores other programs kept busy |
`;

const INTRODUCTION = `# Benchmarks

Written by \`npm run bench -- --write-docs\`, never by hand. \`npm run bench -- --help\` shows the options; \`--install\` installs the programs to
compare with.

The sets need not be measured on the same day: each says when it was, and the programs of a set are always measured together (benchmarks.json has
the figures). Every round goes through all programs in turn on the same data, each in an order of its own: a first backup into a new repository, one of the same
data, one after 1 % of it changed, a restore of everything, and of one file. It has a file system of its own where the bench may mount one, so that
nobody pays for files that others removed ("Where" says which). Restores go to one of their own in memory, where there is enough of it: each commit of
ext4's journal waits for the disk, and this one writes slower than any of these programs restores. Before each step the disk's caches
are flushed, so that nobody writes what another one left; what it reads is read into memory; and as much memory as it may need is taken and given
back, because a virtual machine's host takes back what is free for long. backupctl and restic compress as they do by default (zstd level 1, and about level 3), the others with zstd level 3; all encrypt. backupctl, restic and borg flush what they store; the pipes do not.
The restore of a database's dump is the dump as a file (\`backupctl download\`), for all of them.
In brackets: the figure divided by backupctl's. Above 1 backupctl is faster, or needs less. That memory is bounded whatever the size is on
[a page of its own](benchmarks-size.md).
`;

const SIZE_INTRODUCTION = `# Benchmarks of size

Written by \`npm run bench -- --only size --write-docs\`, never by hand: what shows that memory is bounded. A million small files and folders, a disk's
image that is nearly all holes, a large stream; one round, no change. verify reads the whole repository. How it is measured, what the columns mean, and
10,000 backups in one repository: [benchmarks](benchmarks.md).
`;

const NO_GOAL = `Of an unchanged dump there is no goal of speed: all programs wait for \`pg_dump\`, which alone takes most of the time.`;

export interface Page {
  /** When the start-up was measured, if it was. */
  readonly startup?: string | undefined;
  readonly reports: readonly SetReport[];
  readonly results: Results;
  readonly about: Surroundings;
}

/** The page of speed, docs/benchmarks.md. */
export function benchmarksPage({ reports, results, about, startup }: Page): string {
  return [
    INTRODUCTION,
    `## Goals\n\n${goalsTable(GOALS, results)}\n\n${NO_GOAL}\n`,
    ...setSections(reports, SPEED_SETS, results),
    ...(startup === undefined ? [] : [`## startup; ${startup}\n\n${startupTable(results)}\n`]),
    whereSection(about),
    KEYS,
  ].join("\n");
}

/** The page of size, docs/benchmarks-size.md. */
export function sizePage({ reports, results, about }: Page): string {
  return [
    SIZE_INTRODUCTION,
    `## Goals\n\n${goalsTable(SIZE_GOALS, results)}\n`,
    ...setSections(reports, SIZE_SETS, results),
    whereSection(about),
  ].join("\n");
}

function setSections(reports: readonly SetReport[], sets: readonly SetName[], results: Results): readonly string[] {
  return reports
    .filter(({ set }) => sets.includes(set))
    .map((report) => `## ${report.set}: ${report.description}\n\n${tableOf(report, results)}\n`);
}

export function whereSection(about: Surroundings): string {
  const machine = Object.entries(about).map(([key, value]) => [
    key
      .replace(/^about\./, "")
      .replace(/^version\./, "")
      .replaceAll("_", " "),
    key.endsWith("_bytes") && typeof value === "number" ? showBytes(value) : String(value),
  ]);
  return `## Where\n\n${alignedTable([["", ""], ...machine])}\n`;
}
