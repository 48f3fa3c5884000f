import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { BACKUPCTL, type Contender } from "./contenders.ts";
import { multiplyBackups } from "./many-backups.ts";
import { type Measurement, measure } from "./measure.ts";

/** They take a while; and only the first rebuild finds a catalog that knows next to nothing. */
const ONCE: readonly string[] = ["rebuild", "verify"];
/** In this order. */
const SCRIPTS = {
  rebuild: `${BACKUPCTL} catalog rebuild -q`,
  verify: `${BACKUPCTL} verify --all --quick -q`,
  help: `${BACKUPCTL} --help > /dev/null`,
  list: `${BACKUPCTL} list > /dev/null`,
  list_json: `${BACKUPCTL} list --json --limit 10000 > /dev/null`,
  show: `${BACKUPCTL} show latest > /dev/null`,
  status: `${BACKUPCTL} status > /dev/null`,
  delete: `${BACKUPCTL} delete latest --force --reason bench --dry-run > /dev/null`,
  create: `${BACKUPCTL} create -q --mode incremental`,
} as const;
export type StartupRun = keyof typeof SCRIPTS;
export type StartupSamples = Readonly<Record<StartupRun, readonly Measurement[]>>;

export interface StartupPlan {
  readonly backups: number;
  readonly runs: number;
}

/** What commands take in a repository of so many backups, each of one small file. */
export async function measureStartup(
  contender: Contender,
  { backups, runs }: StartupPlan,
  folder: string,
): Promise<StartupSamples> {
  const [data, state, repository] = ["data", "state", "repository"].map((name) => join(folder, name));
  for (const directory of [data!, state!, repository!]) mkdirSync(directory, { recursive: true });
  const variables = { ...contender.variables, DATA: data!, STATE: state!, REPO: repository!, OUT: folder };
  const run = (script: string) => measure(`cd "$STATE"; ${script}`, variables);
  await run(`${contender.prepare}; echo 'compression: {algorithm: none}' >> backup.config.yaml`);
  for (const [number, work] of (["first", "changed", "changed"] as const).entries()) {
    writeFileSync(join(data!, "file"), `content ${number}`);
    await run(contender.scripts[work]!);
  }
  await multiplyBackups(repository!, readFileSync(join(state!, "backupctl.key"), "utf8"), backups);
  const samples: [string, readonly Measurement[]][] = [];
  for (const [name, script] of Object.entries(SCRIPTS)) {
    samples.push([name, ONCE.includes(name) ? [await run(script)] : await repeat(runs, () => run(script))]);
  }
  return Object.fromEntries(samples) as StartupSamples;
}

async function repeat(runs: number, run: () => Promise<Measurement>): Promise<Measurement[]> {
  await run();
  const samples: Measurement[] = [];
  for (let i = 0; i < runs; i++) samples.push(await run());
  return samples;
}
