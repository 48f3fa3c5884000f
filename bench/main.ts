import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { treeContenders, WORKS } from "./contenders.ts";
import { installContenders, isInstalled } from "./installed.ts";
import { interruption } from "./measure.ts";
import { benchmarksPage, sizePage, surroundings } from "./page.ts";
import { type BenchRecord, pageOf, recordOf, updateRecord } from "./record.ts";
import { type SetReport, showBytes } from "./report.ts";
import { median, type Results, resultsOf, startupResultsOf } from "./results.ts";
import { runRound, type Sample } from "./rounds.ts";
import { openRestores, openScratch, type Scratch } from "./scratch.ts";
import { prepareSet, type SetName, SIZE_SETS, SPEED_SETS } from "./sets.ts";
import { measureStartup, type StartupPlan } from "./startup.ts";
import { FULL_SIZES, QUICK_SIZES, type Sizes } from "./trees.ts";

const USAGE = `npm run bench -- [OPTIONS]

Compares backupctl with the programs that are installed, on data that it makes itself.

  --install        install them first, with apt
  --quick          small data: a look, not a measurement
  --only A,B       of mixed, small, large, postgres, startup, million, sparse, dump; size is the last three
  --rounds N       medians of so many rounds (default 3; 1 with --quick, and of million, sparse and dump)
  --cache DIR      where data and repositories lie (default ~/.cache/backupctl-bench); all at full size needs 40 GB
  --json FILE      write the results, keys as in docs/benchmarks.md
  --write-docs     write docs/benchmarks.json and the pages made of it; sets that were not run stay as they were`;

const SETS: readonly Chosen[] = [...SPEED_SETS, "startup", ...SIZE_SETS];
type Chosen = SetName | "startup";

interface Plan {
  readonly sets: readonly Chosen[];
  readonly sizes: Sizes;
  readonly rounds: (set: SetName) => number;
  readonly startup: StartupPlan;
  readonly cache: string;
}

interface Finished {
  readonly reports: readonly SetReport[];
  readonly samples: readonly Sample[];
  readonly startup: Results;
}

/** `publish` gets all that is finished after each set: a round of all takes hours, and may be stopped in the middle. */
async function run(plan: Plan, scratch: Scratch, publish: (finished: Finished) => void): Promise<void> {
  const samples: Sample[] = [];
  const reports: SetReport[] = [];
  let startup: Results = {};
  for (const set of plan.sets) {
    if (set === "postgres" && !isInstalled("pg_dump")) {
      console.log("\npostgres: left out, PostgreSQL is not installed (--install installs it)");
      continue;
    }
    if (set === "startup") {
      const [ours] = treeContenders();
      scratch.renew();
      console.log(`\nstartup: ${plan.startup.backups} backups`);
      startup = startupResultsOf(await measureStartup(ours!, plan.startup, scratch.folder), plan.startup.backups);
    } else {
      reports.push(await runSet(set, plan, scratch, samples));
    }
    publish({ reports, samples, startup });
  }
}

async function runSet(set: SetName, plan: Plan, scratch: Scratch, samples: Sample[]): Promise<SetReport> {
  const { subject, contenders, description, stop } = await prepareSet(set, plan.sizes, plan.cache);
  console.log(`\n${set}: ${description}`);
  const rounds = plan.rounds(set);
  const restores = openRestores(join(plan.cache, "restored"), subject.bytes);
  const { folder } = scratch;
  try {
    for (let round = 0; round < rounds; round++) {
      const first = round % contenders.length;
      scratch.renew();
      await runRound(
        subject,
        [...contenders.slice(first), ...contenders.slice(0, first)],
        { folder, restores },
        (sample) => {
          samples.push(sample);
          const { work, contender, seconds, peakMemoryBytes } = sample;
          const figures = `${seconds.toFixed(2)} s, ${showBytes(peakMemoryBytes)}`;
          console.log(`  ${round + 1}  ${work.padEnd(9)}  ${contender.padEnd(20)} ${figures}`);
        },
      );
    }
  } finally {
    restores?.remove();
    await stop();
  }
  const works = WORKS.filter((work) => subject.works.includes(work));
  const to = restores === undefined ? "" : `, restored to ${restores.kind}`;
  return {
    set,
    description: `${description}${to}${rounds === 1 ? ", one round" : `, ${rounds} rounds`}`,
    contenders,
    works,
  };
}

/** @throws for what is no number of rounds */
function roundsOf(text: string | undefined): number | undefined {
  if (text === undefined || /^[1-9][0-9]*$/.test(text)) return text === undefined ? undefined : Number(text);
  throw new Error(`--rounds ${text} is not a number from 1 on`);
}

/** @throws for a name that is none */
function setsOf(only: string | undefined): readonly Chosen[] {
  if (only === undefined) return SETS;
  return only.split(",").flatMap((name): readonly Chosen[] => {
    if (name === "size") return SIZE_SETS;
    const set = SETS.find((it) => it === name);
    if (set === undefined) throw new Error(`no set "${name}": there are ${SETS.join(", ")}, size`);
    return [set];
  });
}

function isSizeSet(set: Chosen): boolean {
  return SIZE_SETS.some((it) => it === set);
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      install: { type: "boolean" },
      quick: { type: "boolean" },
      only: { type: "string" },
      rounds: { type: "string" },
      cache: { type: "string", default: join(homedir(), ".cache/backupctl-bench") },
      json: { type: "string" },
      "write-docs": { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) {
    console.log(USAGE);
    return;
  }
  if (values.install === true) installContenders();
  const quick = values.quick === true;
  const rounds = roundsOf(values.rounds);
  const plan: Plan = {
    sets: setsOf(values.only),
    sizes: quick ? QUICK_SIZES : FULL_SIZES,
    rounds: (set) => rounds ?? (quick || isSizeSet(set) ? 1 : 3),
    startup: quick ? { backups: 200, runs: 3 } : { backups: 10_000, runs: 9 },
    cache: values.cache,
  };
  mkdirSync(plan.cache, { recursive: true });

  const scratch = openScratch(join(plan.cache, "round"));
  let pages: ReadonlyMap<string, string> = new Map();
  const publish = ({ reports, samples, startup }: Finished): void => {
    const results = { ...resultsOf(samples), ...startup };
    const about = surroundings(
      { quick, scratch: scratch.kind },
      samples.length === 0 ? 0 : median(samples.map(({ otherCores }) => otherCores)),
    );
    if (values.json !== undefined)
      writeFileSync(values.json, `${JSON.stringify({ ...about, ...results }, undefined, 2)}\n`);
    const measured = recordOf(reports, results, about);
    const docs = join(import.meta.dirname, "../docs");
    const record = values["write-docs"] === true ? updateRecord(join(docs, "benchmarks.json"), measured) : measured;
    pages = pagesOf(record, plan.sets);
    if (values["write-docs"] !== true) return;
    for (const [name, text] of pages) writeFileSync(join(docs, name), text);
  };
  try {
    await run(plan, scratch, publish);
  } finally {
    scratch.remove();
  }
  for (const page of pages.values()) console.log(page);
}

/** By their files' names, those that say something of `sets`. */
function pagesOf(record: BenchRecord, sets: readonly Chosen[]): ReadonlyMap<string, string> {
  const page = pageOf(record);
  const pages = new Map<string, string>();
  if (sets.some((set) => !isSizeSet(set))) pages.set("benchmarks.md", benchmarksPage(page));
  if (sets.some((set) => isSizeSet(set))) pages.set("benchmarks-size.md", sizePage(page));
  return pages;
}

// Interrupted or not, servers are stopped, the data are as they were, and nothing stays behind but them.
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interruption.abort(new Error(signal)));
try {
  await main();
} catch (error) {
  if (interruption.signal.aborted) {
    console.error("interrupted");
    process.exitCode = 130;
  } else {
    console.error(error);
    process.exitCode = 1;
  }
}
