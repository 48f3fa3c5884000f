import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout } from "node:timers/promises";
import Sqlite from "better-sqlite3";
import { noise } from "../helpers/bytes.ts";
import { type CliSite, type CliSiteOptions, makeCliSite } from "../helpers/cli-site.ts";
import { randomNumbers } from "../helpers/random-numbers.ts";
import { type CliResult, startCli } from "../helpers/run-cli.ts";

const HOOK = path.join(import.meta.dirname, "kill-at-effect.ts");

/** Before how many of its effects each run is killed, and at half as many moments; `all`: before each of them, and at a hundred moments. */
const KILLS = process.env.BACKUPCTL_KILLS ?? "5";
const SEED = Number(process.env.BACKUPCTL_SEED);

/** A site whose state is put back before each run that is killed in the middle of it. */
export interface KillSite extends CliSite {
  /** What is now is what each killed run begins with: storages, state, targets. Sources stay as they are. */
  keep(): void;
  /**
   * Runs it to its end, which is `exitStatus`, and gives the ways to kill it: before some of its effects, evenly spread, and at random
   * moments.
   */
  kills(args: readonly string[], exitStatus?: number): Promise<readonly Kill[]>;
}

export interface Kill {
  readonly what: string;
  /** From the kept state on. How long a run takes and how many effects it has differs a little: it may have ended before. */
  run(): Promise<void>;
}

export const STORAGE_FOLDERS = ["repository", "replica", "vault"];
const KEPT = [...STORAGE_FOLDERS, "state", "target"];

export interface KillSiteOptions extends CliSiteOptions {
  /** Puts back what is elsewhere before each run. */
  readonly putBack?: () => Promise<void>;
  /** Added to the environment of the runs that are killed. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A tree, a database in a file, the output of a program, and `more` sources; two storages, and more as the options say. */
export async function makeKillSite(directory: string, more = "", options: KillSiteOptions = {}): Promise<KillSite> {
  const { putBack, env: ownEnv, ...siteOptions } = options;
  const www = path.join(directory, "www");
  fs.mkdirSync(path.join(www, "uploads"), { recursive: true });
  fs.mkdirSync(path.join(directory, "target"));
  fs.writeFileSync(path.join(www, "index.html"), "<h1>hello</h1>");
  fs.writeFileSync(path.join(www, "uploads/large"), noise(2 ** 21));
  fs.symlinkSync("index.html", path.join(www, "link"));
  writeDatabase(path.join(directory, "app.db"), "old");
  const site = await makeCliSite(
    `  www: {engine: files, paths: ["{dir}/www"]}
  app: {engine: sqlite, path: "{dir}/app.db"}
  export: {engine: command, command: [cat, "{dir}/www/uploads/large"]}
${more}`,
    directory,
    { replica: true, ...siteOptions },
  );
  const kept = fs.mkdtempSync(path.join(directory, "kept-"));
  const copy = (from: string, to: string): void => {
    for (const name of KEPT) fs.rmSync(path.join(to, name), { recursive: true, force: true });
    const there = KEPT.filter((name) => fs.existsSync(path.join(from, name)));
    execFileSync("cp", ["-a", ...there.map((name) => path.join(from, name)), to]);
  };
  const start = async (args: readonly string[], hook: Readonly<Record<string, string>> | undefined) => {
    copy(kept, directory);
    await putBack?.();
    const env = { ...ownEnv, ...(hook === undefined ? {} : { NODE_OPTIONS: `--import ${HOOK}`, ...hook }) };
    const config = args.includes("--config") ? [] : ["--config", site.configFile];
    return startCli([...args, ...config], { home: directory, env });
  };
  const runToEnd = async (...given: Parameters<typeof start>): Promise<CliResult> => (await start(...given)).result;
  const requireStatus = ({ exitCode, stderr }: CliResult, wanted: number): void => {
    if (exitCode !== wanted) throw new Error(`it exited with ${exitCode}, not ${wanted}:\n${stderr}`);
  };
  const killAfter = async (delayMs: number, args: readonly string[]): Promise<void> => {
    const { child, result } = await start(args, undefined);
    await setTimeout(delayMs);
    child.kill("SIGKILL");
    await result;
  };
  return {
    ...site,
    keep: () => copy(directory, kept),
    async kills(args, exitStatus = 0) {
      const file = path.join(directory, "effects");
      const killBefore = async (effect: number): Promise<void> => {
        const result = await runToEnd(args, { KILL_BEFORE: `${effect}` });
        if (result.signal !== "SIGKILL") requireStatus(result, exitStatus);
      };
      requireStatus(await runToEnd(args, { COUNT_EFFECTS: file }), exitStatus);
      const started = performance.now();
      requireStatus(await runToEnd(args, undefined), exitStatus);
      const lengthMs = Math.round(performance.now() - started);
      const effects = spread(Number(fs.readFileSync(file, "utf8")), KILLS);
      const random = randomNumbers(SEED);
      const moments = Array.from({ length: KILLS === "all" ? 100 : Math.ceil(Number(KILLS) / 2) }, () =>
        random(lengthMs),
      );
      return [
        ...effects.map((effect) => ({
          what: `killed before effect ${effect}`,
          run: () => killBefore(effect),
        })),
        ...moments.map((moment) => ({
          what: `killed after ${moment} of ${lengthMs} ms`,
          run: () => killAfter(moment, args),
        })),
      ];
    },
  };
}

/** `count` numbers from 1 to `total`, evenly spread, `total` among them: where a run ends, it commits. */
function spread(total: number, count: string): readonly number[] {
  const length = count === "all" ? total : Math.min(total, Number(count));
  return Array.from({ length }, (_, i) => Math.ceil(((i + 1) * total) / length));
}

export function writeDatabase(file: string, text: string): void {
  const database = new Sqlite(file);
  database.exec("CREATE TABLE IF NOT EXISTS notes (text)");
  database.prepare("INSERT INTO notes VALUES (?)").run(text);
  database.close();
}

/** Every entry below a folder with its content, modes and links; times left out. */
export function filesBelow(folder: string): readonly string[] {
  if (!fs.existsSync(folder)) return [];
  const names = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
  return names.sort().map((name) => {
    const stats = fs.lstatSync(path.join(folder, name));
    if (stats.isSymbolicLink()) return `${name} -> ${fs.readlinkSync(path.join(folder, name))}`;
    return `${name} ${stats.mode.toString(8)} ${stats.isFile() ? hashOf(path.join(folder, name)) : ""}`;
  });
}

function hashOf(file: string): string {
  return createHash("sha256").update(fs.readFileSync(file)).digest("hex");
}
