import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { BACKUPCTL } from "../contenders.ts";
import { bytesBelow } from "../folders.ts";
import { isInstalled } from "../installed.ts";
import { interruption, measure } from "../measure.ts";
import { surroundings } from "../page.ts";
import { FULL_SIZES, treeOf } from "../trees.ts";
import { PLACES, type Place } from "./places.ts";
import { type StorageSample, storagesPage, WORKS } from "./table.ts";

const USAGE = `npm run bench:storages -- [OPTIONS]

Compares backups to each kind of storage, and restores from it, with rclone's copy of the same bytes. The servers run on this host.
It needs rclone, and the servers that test/servers/install.sh installs.

  --only A,B     of ${PLACES.map(({ key }) => key).join(", ")}
  --megabytes N  of data (default 512)
  --rounds N     medians of so many (default 3)
  --cache DIR    where data and repositories lie (default ~/.cache/backupctl-bench)
  --write-docs   write docs/benchmarks-storages.md`;

interface Round {
  readonly folder: string;
  readonly data: string;
  readonly place: Place;
}

/** One place from its first backup to the last copy back: the same data, the same bytes. */
async function runRound({ folder, data, place }: Round, tell: (sample: StorageSample) => void): Promise<void> {
  const repository = join(folder, "repository");
  const local = { type: "local", path: repository };
  writeConfig(folder, "local", data, { main: local });
  writeConfig(folder, "direct", data, { main: place.storage("direct") });
  writeConfig(folder, "copied", data, { main: local, there: place.storage("copied") });
  const variables = { ...place.rclone.variables, REPO: repository, PLACE: place.rclone.folder };
  const run = (script: string) => measure(`cd "${folder}"; ${script}`, variables);
  const key = '(umask 077; od -An -vtx1 -N32 /dev/urandom | tr -d " \\n" > backupctl.key)';
  await run(
    [key, ...["local", "copied", "direct"].map((config) => `${BACKUPCTL} init -q -c ${config}.yaml`)].join("; "),
  );
  await run(`${BACKUPCTL} create -q -c local.yaml`);
  const storedBytes = bytesBelow(repository);
  for (const { work, script } of WORKS) {
    const { seconds, peakMemoryBytes } = await run(script);
    tell({ place: place.key, work, seconds, peakMemoryBytes, storedBytes });
  }
  const back = bytesBelow(join(folder, "fetched"));
  if (back !== storedBytes) throw new Error(`rclone brought ${back} bytes back from ${place.key}, not ${storedBytes}`);
}

function writeConfig(folder: string, name: string, data: string, storages: Readonly<Record<string, unknown>>): void {
  const config = {
    ...{ version: 1, name: "bench", state_dir: join(folder, "state"), storages },
    encryption: { keys: { main: { provider: "local", key_file: join(folder, "backupctl.key") } } },
    sources: { bench: { engine: "files", paths: [data] } },
  };
  writeFileSync(join(folder, `${name}.yaml`), JSON.stringify(config));
}

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      only: { type: "string" },
      megabytes: { type: "string", default: "512" },
      rounds: { type: "string", default: "3" },
      cache: { type: "string", default: join(homedir(), ".cache/backupctl-bench") },
      "write-docs": { type: "boolean" },
      help: { type: "boolean" },
    },
  });
  if (values.help === true) return console.log(USAGE);
  if (!isInstalled("rclone")) throw new Error("rclone is not installed: apt-get install rclone");
  const wanted = values.only?.split(",") ?? PLACES.map(({ key }) => key);
  const folder = join(values.cache, "storages");
  const sizes = { ...FULL_SIZES, largeFiles: 4, largeFileBytes: (Number(values.megabytes) / 4) * 1024 * 1024 };
  const data = treeOf("large", sizes, join(values.cache, `large-${values.megabytes}`));
  const samples: StorageSample[] = [];
  const titles = new Map<string, string>();
  for (let round = 1; round <= Number(values.rounds); round++) {
    for (const { key, start } of PLACES.filter(({ key }) => wanted.includes(key))) {
      rmSync(folder, { recursive: true, force: true });
      mkdirSync(folder, { recursive: true });
      // A new one each time: what an earlier round left there would have to be searched.
      const place = await start(folder);
      titles.set(key, place.title);
      try {
        await runRound({ folder, data, place }, (sample) => {
          samples.push(sample);
          console.log(`  ${round}  ${key.padEnd(6)} ${sample.work.padEnd(12)} ${sample.seconds.toFixed(2)} s`);
        });
      } finally {
        await place.stop();
      }
    }
  }
  rmSync(folder, { recursive: true, force: true });
  const page = storagesPage(samples, titles, surroundings({ quick: false, scratch: "a plain folder" }));
  if (values["write-docs"] === true)
    writeFileSync(join(import.meta.dirname, "../../docs/benchmarks-storages.md"), page);
  console.log(page);
}

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => interruption.abort(new Error(signal)));
try {
  await main();
} catch (error) {
  console.error(error);
  process.exitCode = interruption.signal.aborted ? 130 : 1;
}
