import { type ConfigDocument, withoutPositions } from "./document.ts";
import type { ConfigPath, Problem } from "./problems.ts";

/** The configuration without a file: from the environment alone. */

/** What ENABLE_AUTO_BACKUP asks for. */
const NIGHTLY = { operation: "create", every: "day", at: "02:00" };

type Environment = Readonly<Record<string, string | undefined>>;

const DEFAULT_RETENTION_HOURS = 7 * 24;

/** Variables that are understood, and whose storage, engine or command this version does not have. */
const NOT_YET: Readonly<Record<string, string>> = {
  MONGODB_URI: "the mongodb engine",
};

/** Set, and with it the environment is a whole configuration. */
export function describesConfig(env: Environment): boolean {
  return given(env, "BACKUP_STORAGE_PATH") !== undefined;
}

/** In the shape of a config file, so that both go through the same checks. */
export function environmentDocument(env: Environment): ConfigDocument {
  const { retention, chain, problems: retentionProblems } = retentionOf(env);
  const encryption = encryptionOf(env);
  const values = {
    version: 1,
    storages: { local: { type: "local", path: given(env, "BACKUP_STORAGE_PATH") }, ...bucketOf(env) },
    encryption: { keys: encryption.keys },
    sources: sourcesOf(env),
    ...(Object.keys(retention).length === 0 ? {} : { retention }),
    chain,
    ...(asked(given(env, "ENABLE_AUTO_BACKUP")) ? { schedules: { auto: NIGHTLY } } : {}),
  };
  return withoutPositions(values, [...encryption.problems, ...retentionProblems]);
}

/** What is set and has no effect. Silence would look like success. */
export function environmentWarnings(env: Environment): readonly string[] {
  const warnings = Object.entries(NOT_YET)
    .filter(([name]) => asked(given(env, name)))
    .map(([name, what]) => `${name} is set and has no effect: it comes with ${what}`);
  const url = given(env, "DATABASE_URL");
  if (url !== undefined && !isPostgres(url)) {
    warnings.push("DATABASE_URL is set and has no effect: only postgres:// addresses are understood");
  }
  return warnings;
}

/** ENABLE_AUTO_BACKUP=false asks for nothing. */
function asked(value: string | undefined): boolean {
  return value !== undefined && !/^(false|no|off|0)$/i.test(value);
}

/** A second copy of everything, in a bucket. What other AWS programs take from the environment is taken from there. */
function bucketOf(env: Environment): Record<string, unknown> {
  const bucket = given(env, "AWS_S3_BUCKET");
  if (bucket === undefined) return {};
  const options = {
    bucket,
    region: given(env, "AWS_REGION") ?? given(env, "AWS_DEFAULT_REGION"),
    endpoint: given(env, "AWS_ENDPOINT_URL_S3") ?? given(env, "AWS_ENDPOINT_URL"),
    ...loginOf(env),
  };
  const set = Object.entries(options).filter(([, value]) => value !== undefined);
  return { s3: { type: "s3", role: "replica", ...Object.fromEntries(set) } };
}

/** Named, so that it is known as a secret. Half a login is left to where AWS programs look further. */
function loginOf(env: Environment): Record<string, string | undefined> {
  const access_key_id = given(env, "AWS_ACCESS_KEY_ID");
  const secret_access_key = given(env, "AWS_SECRET_ACCESS_KEY");
  if (access_key_id === undefined || secret_access_key === undefined) return {};
  return { access_key_id, secret_access_key, session_token: given(env, "AWS_SESSION_TOKEN") };
}

function encryptionOf(env: Environment): {
  readonly keys: Record<string, unknown>;
  readonly problems: readonly Problem[];
} {
  const key = given(env, "BACKUP_ENCRYPTION_KEY");
  const file = given(env, "BACKUP_ENCRYPTION_KEY_FILE");
  if (key === undefined && file === undefined) {
    return {
      keys: { default: { provider: "local", key: "" } },
      problems: [
        problem(
          ["BACKUP_ENCRYPTION_KEY"],
          "is not set; make one with `openssl rand -hex 32` and keep a copy away from this host",
        ),
      ],
    };
  }
  const problems: Problem[] = [];
  if (key !== undefined && file !== undefined) {
    problems.push(problem(["BACKUP_ENCRYPTION_KEY_FILE"], "is one too many beside BACKUP_ENCRYPTION_KEY"));
  }
  if (key !== undefined && !/^[0-9a-f]{64}$/i.test(key)) {
    problems.push(
      problem(["BACKUP_ENCRYPTION_KEY"], "must be 64 hex digits (32 bytes), as `openssl rand -hex 32` prints"),
    );
  }
  return { keys: { default: { provider: "local", ...(key === undefined ? { key_file: file } : { key }) } }, problems };
}

function sourcesOf(env: Environment): Record<string, unknown> {
  const files = given(env, "BACKUP_FILES_PATHS");
  const sqlite = given(env, "SQLITE_PATH");
  const url = given(env, "DATABASE_URL");
  return {
    ...(files === undefined
      ? {}
      : { files: { engine: "files", paths: files.split(":").filter((path) => path !== "") } }),
    ...(sqlite === undefined ? {} : { sqlite: { engine: "sqlite", path: sqlite } }),
    ...(url === undefined || !isPostgres(url) ? {} : { database: { engine: "postgres", url } }),
  };
}

/**
 * BACKUP_RETENTION_DAYS is the longest that any backup is kept. Half of it at most goes to the chain, so that full backups
 * and what hangs from them can both be gone in time.
 */
function retentionOf(env: Environment): { retention: object; chain: object; problems: readonly Problem[] } {
  const problems: Problem[] = [];
  const maxBackups = count(env, "MAX_BACKUPS", problems);
  const days = count(env, "BACKUP_RETENTION_DAYS", problems);
  const limit = maxBackups === undefined ? {} : { max_backups: maxBackups };
  if (days === undefined) return { retention: limit, chain: {}, problems };
  const half = `${Math.min(DEFAULT_RETENTION_HOURS, days * 12)}h`;
  const all = `${days}d`;
  return {
    retention: { incremental: half, daily: all, weekly: all, monthly: all, snapshots: all, ...limit },
    chain: { full_every: half },
    problems,
  };
}

function count(env: Environment, name: string, problems: Problem[]): number | undefined {
  const text = given(env, name);
  if (text === undefined) return undefined;
  if (/^[1-9]\d{0,4}$/.test(text)) return Number(text);
  problems.push(problem([name], "must be a whole number of at least 1"));
  return undefined;
}

function problem(path: ConfigPath, message: string): Problem {
  return { path, message };
}

function isPostgres(url: string): boolean {
  return /^postgres(ql)?:\/\//.test(url);
}

function given(env: Environment, name: string): string | undefined {
  const value = env[name];
  return value === undefined || value === "" ? undefined : value;
}
