import { type ChildProcess, execFile, execFileSync, spawn } from "node:child_process";
import { chmodSync, chownSync, existsSync, mkdtempSync, rmSync } from "node:fs";
import { join } from "node:path";
import { promisify } from "node:util";
import { freePort } from "./free-port.ts";
import { installedPostgresMajors, postgresBinDir } from "./requirements.ts";

const run = promisify(execFile);

const HOST = "127.0.0.1";
const USER = "postgres";
const START_ATTEMPTS = 5;
const READY_TIMEOUT_MS = 30_000;
const MAX_OUTPUT_BYTES = 256 * 1024 * 1024;

export interface PostgresOptions {
  /** The newest installed one without it. */
  readonly major?: number;
  /** When given, connections over TCP need it; the socket stays open to all. */
  readonly password?: string;
  readonly settings?: Readonly<Record<string, string>>;
}

export interface PostgresServer {
  readonly major: number;
  /** psql, pg_dump and the like of this major. */
  readonly binDir: string;
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly socketDir: string;
  /** Runs SQL through psql, stops at the first error; rows as lines, columns separated by |. */
  sql(database: string, text: string): Promise<string>;
  createDatabase(name: string): Promise<void>;
  /** Ends sessions and the server, removes everything. May be called twice. */
  stop(): Promise<void>;
}

interface Account {
  readonly uid: number;
  readonly gid: number;
}

/** PostgreSQL refuses to run as root; then the server's own account is used, else the caller's. */
function serverAccount(): Account | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (flag: string) => Number(execFileSync("id", [flag, "postgres"], { encoding: "utf8" }));
  return { uid: id("-u"), gid: id("-g") };
}

/** Under setpriv the server ends with this process even when that is killed. */
function postgresCommand(binary: string, account: Account | undefined): string[] {
  const deathSignal = ["--pdeathsig", "INT", "--"];
  if (!existsSync("/usr/bin/setpriv")) return [binary];
  if (account === undefined) return ["/usr/bin/setpriv", ...deathSignal, binary];
  const ids = [`--reuid=${account.uid}`, `--regid=${account.gid}`, "--clear-groups"];
  return ["/usr/bin/setpriv", ...ids, ...deathSignal, binary];
}

interface Cluster {
  readonly binDir: string;
  readonly dir: string;
  readonly account: Account | undefined;
  readonly options: PostgresOptions;
}

async function initialise({ binDir, dir, account, options }: Cluster): Promise<void> {
  const auth = ["--auth-local=trust", `--auth-host=${options.password === undefined ? "trust" : "scram-sha-256"}`];
  const shape = ["-U", USER, "-N", "-E", "UTF8", "--locale=C.UTF-8"];
  await run(join(binDir, "initdb"), ["-D", join(dir, "data"), ...shape, ...auth], { cwd: "/", ...account });
}

function untilReady(child: ChildProcess): Promise<boolean> {
  return new Promise((resolve, reject) => {
    let log = "";
    const timer = setTimeout(() => reject(new Error(`PostgreSQL is not ready:\n${log}`)), READY_TIMEOUT_MS);
    child.stderr?.setEncoding("utf8").on("data", (text: string) => {
      log += text;
      if (!log.includes("ready to accept connections")) return;
      clearTimeout(timer);
      child.stderr?.removeAllListeners("data").resume();
      resolve(true);
    });
    child.on("exit", (code) => {
      clearTimeout(timer);
      if (/could not bind|Address already in use/.test(log)) resolve(false);
      else reject(new Error(`PostgreSQL ended with ${code}:\n${log}`));
    });
  });
}

async function startOn(port: number, { binDir, dir, account, options }: Cluster): Promise<ChildProcess | undefined> {
  const settings = { fsync: "off", shared_buffers: "32MB", wal_level: "replica", ...options.settings };
  const flags = Object.entries(settings).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
  const [program = "", ...before] = postgresCommand(join(binDir, "postgres"), account);
  const where = ["-D", join(dir, "data"), "-p", String(port), "-k", dir, "-h", HOST];
  const child = spawn(program, [...before, ...where, ...flags], { cwd: dir, stdio: ["ignore", "ignore", "pipe"] });
  return (await untilReady(child)) ? child : undefined;
}

async function startSomewhere(cluster: Cluster): Promise<{ child: ChildProcess; port: number }> {
  for (let attempt = 0; attempt < START_ATTEMPTS; attempt++) {
    const port = await freePort();
    const child = await startOn(port, cluster);
    if (child !== undefined) return { child, port };
  }
  throw new Error(`PostgreSQL found no free port in ${START_ATTEMPTS} attempts`);
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = new Promise((resolve) => child.once("exit", resolve));
  child.kill("SIGINT");
  await ended;
}

/** Starts a private, empty PostgreSQL that only this process knows. Ask `requireOrSkip("postgres")` first. */
export async function startPostgres(options: PostgresOptions = {}): Promise<PostgresServer> {
  const major = options.major ?? installedPostgresMajors().at(-1);
  if (major === undefined) throw new Error("PostgreSQL is not installed: run test/servers/install.sh");
  const binDir = postgresBinDir(major);
  const account = serverAccount();

  // Not TMPDIR: the server's account may be shut out of it, and a socket's path is limited to 107 bytes.
  const dir = mkdtempSync("/tmp/backupctl-pg-");
  chmodSync(dir, 0o755);
  if (account !== undefined) chownSync(dir, account.uid, account.gid);

  let child: ChildProcess | undefined;
  const abandon = () => {
    child?.kill("SIGQUIT");
    rmSync(dir, { recursive: true, force: true });
  };
  process.once("exit", abandon);
  const cluster: Cluster = { binDir, dir, account, options };
  try {
    await initialise(cluster);
    const started = await startSomewhere(cluster);
    const { port } = started;
    child = started.child;

    const sql: PostgresServer["sql"] = async (database, text) => {
      const flags = ["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-h", dir, "-p", String(port), "-U", USER];
      const psql = run(join(binDir, "psql"), [...flags, "-d", database, "-f", "-"], { maxBuffer: MAX_OUTPUT_BYTES });
      psql.child.stdin?.end(text);
      return (await psql).stdout.replace(/\n$/, "");
    };
    if (options.password !== undefined) {
      await sql("postgres", `alter role ${USER} password '${options.password.replaceAll("'", "''")}'`);
    }

    return {
      major,
      binDir,
      host: HOST,
      port,
      user: USER,
      socketDir: dir,
      sql,
      createDatabase: async (name) => {
        await sql("postgres", `create database "${name.replaceAll('"', '""')}"`);
      },
      stop: async () => {
        await end(started.child);
        process.removeListener("exit", abandon);
        rmSync(dir, { recursive: true, force: true });
      },
    };
  } catch (error) {
    abandon();
    throw error;
  }
}
