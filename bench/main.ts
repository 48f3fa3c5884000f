import { mkdirSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { type Contender, dumpContenders, treeContenders, WORKS } from "./contenders.ts";
import { startDatabase } from "./database.ts";
import { filesBelow } from "./folders.ts";
import { installContenders, isInstalled } from "./installed.ts";
import { benchmarksPage, surroundings } from "./page.ts";
import { type SetReport, showBytes } from "./report.ts";
import { median, type Results, resultsOf, startupResultsOf } from "./results.ts";
import { runRound, type Sample, type Subject, treeSubject } from "./rounds.ts";
import { measureStartup } from "./startup.ts";
import { changeOnePercent, FULL_SIZES, QUICK_SIZES, type Sizes, type TreeName, treeOf } from "./trees.ts";

const USAGE = `npm run bench -- [OPTIONS]

Compares backupctl with the programs that are installed, on data that it makes itself.

  --install        install them first, with apt
  --quick          small data: a look, not a measurement
  --only A,B       of mixed, small, large, postgres, startup
  --rounds N       medians of so many rounds (default 3; 1 with --quick)
  --cache DIR      where data and repositories lie (default ~/.cache/backupctl-bench)
  --json FILE      write the results, keys as in docs/benchmarks.md
  --write-docs     write docs/benchmarks.md`;

const SETS = ["mixed", "small", "large", "postgres", "startup"] as const;
type SetName = (typeof SETS)[number];

const STARTUP = { backups: 10_000, runs: 9 };

interface Plan {
  readonly sets: readonly SetName[];
  readonly sizes: Sizes;
  readonly rounds: number;
  readonly cache: string;
}

interface Finished {
  readonly reports: readonly SetReport[];
  readonly samples: readonly Sample[];
  readonly startup: Results;
}

async function run(plan: Plan): Promise<Finished> {
  const samples: Sample[] = [];
  const reports: SetReport[] = [];
  let startup: Results = {};
  for (const set of plan.sets) {
    if (set === "startup") {
      const [ours] = treeContenders();
      startup = startupResultsOf(await measureStartup(ours!, STARTUP, join(plan.cache, "startup")));
      continue;
    }
    const { subject, contenders, description, stop } = await prepareSet(set, plan);
    console.log(`\n${set}: ${description}`);
    try {
      for (let round = 0; round < plan.rounds; round++) {
        const order = [
          ...contenders.slice(round % contenders.length),
          ...contenders.slice(0, round % contenders.length),
        ];
        await runRound(subject, order, join(plan.cache, "round"), (sample) => {
          samples.push(sample);
          console.log(
            `  ${round + 1}  ${sample.work.padEnd(9)}  ${sample.contender.padEnd(20)} ${sample.seconds.toFixed(2)} s`,
          );
        });
      }
    } finally {
      await stop();
    }
    const works = WORKS.filter((work) => work !== "one" || subject.one !== undefined);
    reports.push({ set, description, contenders, works });
  }
  return { reports, samples, startup };
}

interface PreparedSet {
  readonly subject: Subject;
  readonly contenders: readonly Contender[];
  readonly description: string;
  stop(): Promise<void>;
}

async function prepareSet(set: TreeName | "postgres", { sizes, cache }: Plan): Promise<PreparedSet> {
  const taking = (contenders: readonly Contender[]) => contenders.filter(({ needs }) => needs.every(isInstalled));
  if (set === "postgres") {
    const { subject, source, stop } = await startDatabase(sizes.databaseBytes);
    const description = `a PostgreSQL database, ${showBytes(subject.bytes)} as a dump`;
    return { subject, contenders: taking(dumpContenders(source)), description, stop };
  }
  const tree = treeOf(set, sizes, cache);
  const files = filesBelow(tree);
  const one = files[Math.floor(files.length / 2)]!;
  const subject = treeSubject(set, tree, one.path, () => changeOnePercent(tree));
  const description = `${files.length} files, ${showBytes(subject.bytes)}`;
  return { subject, contenders: taking(treeContenders()), description, stop: async () => undefined };
}

function isSet(text: string): text is SetName {
  return (SETS as readonly string[]).includes(text);
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
  const sets = values.only?.split(",") ?? SETS;
  const unknown = sets.find((set) => !isSet(set));
  if (unknown !== undefined) throw new Error(`no set "${unknown}": there are ${SETS.join(", ")}`);
  const rounds = Number(values.rounds ?? (values.quick === true ? 1 : 3));
  const plan = {
    sets: sets.filter(isSet),
    sizes: values.quick === true ? QUICK_SIZES : FULL_SIZES,
    rounds,
    cache: values.cache,
  };
  mkdirSync(plan.cache, { recursive: true });

  const { reports, samples, startup } = await run(plan);
  const results = { ...resultsOf(samples), ...startup };
  const about = surroundings(
    { rounds, quick: values.quick === true },
    samples.length === 0 ? 0 : median(samples.map(({ otherCores }) => otherCores)),
  );
  if (values.json !== undefined)
    writeFileSync(values.json, `${JSON.stringify({ ...about, ...results }, undefined, 2)}\n`);
  const page = benchmarksPage({ reports, results, about });
  if (values["write-docs"] === true) writeFileSync(join(import.meta.dirname, "../docs/benchmarks.md"), page);
  console.log(page);
}

await main();
