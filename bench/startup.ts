import { randomUUID } from "node:crypto";
import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { openSqliteCatalog } from "../src/catalog/sqlite/open.ts";
import { isBackupId } from "../src/domain/backup.ts";
import { backupDirectory } from "../src/domain/object-names.ts";
import { BACKUPCTL, type Contender } from "./contenders.ts";
import { filesBelow } from "./folders.ts";
import { type Measurement, measure } from "./measure.ts";

export type StartupSamples = Readonly<Record<"help" | "list" | "list_json" | "delete", readonly Measurement[]>>;

export interface StartupPlan {
  readonly backups: number;
  readonly runs: number;
}

/** `--help`; and with so many backups in the catalog `list`, all of them as JSON, and what a `delete` of the newest would remove. */
export async function measureStartup(
  contender: Contender,
  { backups, runs }: StartupPlan,
  folder: string,
): Promise<StartupSamples> {
  const [data, state, repository] = ["data", "state", "repository"].map((name) => join(folder, name));
  for (const directory of [data!, state!, repository!]) mkdirSync(directory, { recursive: true });
  writeFileSync(join(data!, "file"), "content");
  const variables = { ...contender.variables, DATA: data!, STATE: state!, REPO: repository!, OUT: folder };
  const run = (script: string) => measure(`cd "$STATE"; ${script}`, variables);
  await run(contender.prepare);
  await run(contender.scripts.first!);
  await fillCatalog(filesBelow(state!).find(({ path }) => path.endsWith("/catalog.db"))!.path, backups);
  const samples = {
    help: await repeat(runs, () => run(`${BACKUPCTL} --help > /dev/null`)),
    list: await repeat(runs, () => run(`${BACKUPCTL} list > /dev/null`)),
    list_json: await repeat(runs, () => run(`${BACKUPCTL} list --json --limit ${backups} > list.json`)),
    delete: await repeat(runs, () => run(`${BACKUPCTL} delete latest --force --reason bench --dry-run > /dev/null`)),
  };
  return samples;
}

async function repeat(runs: number, run: () => Promise<Measurement>): Promise<Measurement[]> {
  await run();
  const samples: Measurement[] = [];
  for (let i = 0; i < runs; i++) samples.push(await run());
  return samples;
}

/** Copies of the one backup that is there, an hour apart. */
async function fillCatalog(file: string, backups: number): Promise<void> {
  const catalog = openSqliteCatalog({ file, warn: console.error });
  const metadata = catalog.list({ limit: 1 }).backups[0]?.metadata;
  if (metadata === undefined) throw new Error(`no backup in ${file}`);
  for (let number = 1; number < backups; number++) {
    // A turn for Ctrl-C.
    if (number % 100 === 0) await turn();
    const id = randomUUID();
    if (!isBackupId(id)) throw new Error(`${id} is not a backup's id`);
    const timestamp = new Date(Date.parse(metadata.timestamp) - number * 3_600_000).toISOString();
    const { type, category, mode } = metadata;
    const path = backupDirectory({ type, category, mode, timestamp, id });
    const copy = { ...metadata, id, timestamp, storage_path: path, lineage: [{ id, path }] };
    catalog.restoreFromStorage({ metadata: copy, trusted: true, notes: {}, copies: [] });
  }
  catalog.close();
}
