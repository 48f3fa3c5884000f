/** Writes what is not there yet of test/fixtures/format-v1: `node scripts/make-format-fixtures.ts`, as root. It never replaces anything. */
import * as fs from "node:fs";
import * as path from "node:path";
import { setTimeout } from "node:timers/promises";
import { openSqliteCatalog } from "../src/catalog/sqlite/open.ts";
import { loadConfig } from "../src/config/load.ts";
import type { EngineDefinition, StreamDump } from "../src/engines/engine.ts";
import { engineDefinitions } from "../src/engines/registry.ts";
import { keyProviderDefinitions } from "../src/keys/registry.ts";
import { openOperations } from "../src/operations/open.ts";
import type { Operations } from "../src/operations/operations.ts";
import type { Session } from "../src/operations/session.ts";
import { systemClock } from "../src/platform/clock.ts";
import { storageDefinitions } from "../src/storage/registry.ts";
import { type PostgresServer, startPostgres } from "../test/servers/postgres.ts";
import {
  type ExpectedBackup,
  type ExpectedSource,
  listTree,
  type Manifest,
  manifestSchema,
  sha256Of,
} from "./format-fixtures/manifest.ts";
import { changeSite, makeSite, tablesOf } from "./format-fixtures/site.ts";

const TARGET = path.join(import.meta.dirname, "../test/fixtures/format-v1");
/** Its name is in the indexes. */
const SITE = "/srv/backupctl-fixture";
/** Entries younger than 2 s are marked as untrusted: then no line would ever be copied from a parent. */
const UNTIL_TRUSTED_MS = 2_500;
const KEY = "202122232425262728292a2b2c2d2e2f303132333435363738393a3b3c3d3e3f";
const PASSPHRASE = "correct horse battery staple";

interface RepositoryPlan {
  readonly name: string;
  readonly config: string;
  readonly sources: readonly string[];
  readonly modes: readonly ["full", ...("incremental" | "differential")[]];
}

const SOURCES: Readonly<Record<string, (server: PostgresServer) => string>> = {
  uploads: () => `{engine: files, paths: [${SITE}/uploads]}`,
  notes: () => `{engine: files, paths: [${SITE}/notes], category: papers}`,
  app: () => `{engine: sqlite, path: ${SITE}/app.db}`,
  settings: () => `{engine: command, component: configuration, command: [cat, ${SITE}/settings.txt]}`,
  nothing: () => "{engine: command, command: ['true'], allow_empty: true}",
  broken: () => "{engine: command, command: ['false']}",
  environment: () => "{engine: environment, variables: [FIXTURE_*]}",
  pages: () => `{engine: command, command: [cat, ${SITE}/pages]}`,
  shop: ({ port, socketDir, binDir }) =>
    `{engine: postgres, host: ${socketDir}, port: ${port}, user: postgres, databases: [shop], bin_directory: ${binDir}}`,
};

const KEYS = `{main: {provider: local, key: ${KEY}}`;
const REPOSITORIES: readonly RepositoryPlan[] = [
  {
    name: "sealed-zstd",
    config: `encryption: {keys: ${KEYS}, team: {provider: passphrase, passphrase: ${PASSPHRASE}}}}`,
    sources: ["uploads", "app", "settings", "environment", "shop"],
    modes: ["full", "incremental", "differential"],
  },
  {
    name: "sealed-gzip",
    config: `encryption: {keys: ${KEYS}}}\ncompression: {algorithm: gzip, level: 6}`,
    sources: ["notes", "settings", "nothing", "broken"],
    modes: ["full", "incremental", "incremental"],
  },
  {
    name: "proven-none",
    config: `encryption: {enabled: false, keys: ${KEYS}}}\ncompression: {algorithm: none}`,
    sources: ["notes", "environment"],
    modes: ["full", "incremental"],
  },
  {
    name: "open-zstd",
    config: "encryption: {enabled: false}",
    sources: ["notes", "app"],
    modes: ["full", "differential"],
  },
  {
    // Neither sealed nor compressed, or it would take 17 MiB of whatever holds it.
    name: "two-packs",
    config: "encryption: {enabled: false}\ncompression: {algorithm: none}",
    sources: ["pages"],
    modes: ["full", "incremental"],
  },
];

type Streams = Map<string, NonNullable<ExpectedSource["stream"]>>;

/** The engines as they are, and what their streams were on the way. */
function listening(streams: Streams): Readonly<Record<string, EngineDefinition>> {
  const listen = (source: string, dump: StreamDump): StreamDump => {
    const pieces: Uint8Array[] = [];
    async function* bytes(): AsyncGenerator<Uint8Array> {
      for await (const piece of dump.bytes) {
        pieces.push(Uint8Array.from(piece));
        yield piece;
      }
    }
    const finish: StreamDump["finish"] = async () => {
      const summary = await dump.finish();
      const whole = Buffer.concat(pieces);
      const parts = summary.entries.map(({ name, offset, size }) => [
        name,
        sha256Of(whole.subarray(offset, offset + size)),
      ]);
      streams.set(source, { size: whole.length, sha256: sha256Of(whole), parts: Object.fromEntries(parts) });
      return summary;
    };
    return { ...dump, bytes: bytes(), finish };
  };
  const definitions = Object.entries(engineDefinitions).map(([type, definition]) => {
    const open: EngineDefinition["open"] = async (options, tools) => {
      const engine = await definition.open(options, tools);
      const dump: typeof engine.dump = async (context) => {
        const started = await engine.dump(context);
        return started.shape === "tree" ? started : listen(context.sourceName, started);
      };
      return { ...engine, dump };
    };
    return [type, { ...definition, open }];
  });
  return Object.fromEntries(definitions);
}

/** One backup an hour, from the same time on in every repository. */
function sessionOf(loaded: Session["loaded"], streams: Streams): { readonly session: Session; nextHour(): void } {
  let now = new Date("2026-01-11T02:00:00.000Z");
  const session: Session = {
    loaded,
    adapters: {
      storages: storageDefinitions,
      keys: keyProviderDefinitions,
      engines: listening(streams),
      jobs: {},
      notifiers: {},
      openCatalog: async (options) => openSqliteCatalog(options),
      recoveryProgram: async () => Buffer.alloc(0),
    },
    clock: { now: () => now, monotonicMs: () => systemClock.monotonicMs() },
    logger: { debug: () => undefined, info: () => undefined, warn: () => undefined, error: () => undefined },
    clean: (text) => text,
    signal: new AbortController().signal,
    host: "web1",
    user: "backup",
    softwareVersion: "0.1.0",
    program: { path: "backupctl", environment: {} },
  };
  return {
    session,
    nextHour: () => {
      now = new Date(now.getTime() + 3_600_000);
    },
  };
}

async function makeRepository(plan: RepositoryPlan, server: PostgresServer): Promise<readonly ExpectedBackup[]> {
  const work = path.join(SITE, "work", plan.name);
  const repository = path.join(TARGET, plan.name);
  for (const folder of [work, repository]) fs.mkdirSync(folder, { recursive: true });
  const config = path.join(work, "backup.config.yaml");
  const sources = plan.sources.map((name) => `  ${name}: ${SOURCES[name]?.(server)}`).join("\n");
  const storage = `storages: {fixture: {type: local, path: ${repository}}}`;
  fs.writeFileSync(
    config,
    `version: 1\nname: fixture\nstate_dir: ${work}/state\n${storage}\n${plan.config}\nsources:\n${sources}\n`,
  );
  const streams: Streams = new Map();
  const env = { FIXTURE_NAME: "a value", FIXTURE_QUOTES: `it's "quoted"\nand more` };
  Object.assign(process.env, env);
  const { session, nextHour } = sessionOf(await loadConfig({ path: config, env, cwd: work }), streams);
  const operations = await openOperations(session);
  await operations.init({ configPath: undefined, storagePath: undefined });
  const expected: ExpectedBackup[] = [];
  for (const [i, mode] of plan.modes.entries()) {
    if (i > 0) await changeSite({ directory: SITE, server }, i === 1 ? 1 : 2);
    process.env.FIXTURE_NAME = `value ${i}`;
    expected.push(await makeBackup(operations, plan, mode, { streams, server }));
    nextHour();
  }
  await operations.hold("latest", "so that there are notes");
  await operations.close();
  // Neither is part of a backup, and the test brings the program as it is now.
  fs.rmSync(path.join(repository, "recovery"), { recursive: true });
  return expected;
}

async function makeBackup(
  operations: Operations,
  plan: RepositoryPlan,
  mode: ExpectedBackup["mode"],
  { streams, server }: { readonly streams: Streams; readonly server: PostgresServer },
): Promise<ExpectedBackup> {
  const sources: Record<string, ExpectedSource> = {};
  for (const name of plan.sources) {
    if (name === "uploads" || name === "notes")
      sources[name] = { tree: [...listTree("/", `${SITE.slice(1)}/${name}`)] };
  }
  const none = { components: [], sources: [], categories: [], tables: [], tags: [], storages: [] };
  const { backup } = await operations.create({ ...none, mode, ifChanged: false, manual: false, lockWaitMs: 0 });
  if (backup === undefined) throw new Error("no backup was made");
  for (const [name, stream] of streams) sources[name] = { stream };
  const { shop } = sources;
  if (shop !== undefined) sources.shop = { ...shop, tables: await tablesOf(server) };
  const directory = (await operations.show(backup.id)).metadata?.storage_path;
  const { status } = backup;
  if (directory === undefined || (status !== "completed" && status !== "partial"))
    throw new Error(`the backup is ${status}`);
  return { directory, mode, status, sources };
}

async function makeAll(): Promise<void> {
  if (fs.existsSync(SITE)) throw new Error(`${SITE} exists`);
  const file = path.join(TARGET, "expected.json");
  const known = fs.existsSync(file) ? manifestSchema.parse(JSON.parse(fs.readFileSync(file, "utf8"))) : undefined;
  const repositories: Record<string, ExpectedBackup[]> = { ...known?.repositories };
  for (const plan of REPOSITORIES.filter(({ name }) => repositories[name] === undefined)) {
    fs.mkdirSync(SITE, { recursive: true });
    const server = await startPostgres();
    try {
      await makeSite({ directory: SITE, server });
      await setTimeout(UNTIL_TRUSTED_MS);
      repositories[plan.name] = [...(await makeRepository(plan, server))];
    } finally {
      await server.stop();
      fs.rmSync(SITE, { recursive: true });
    }
  }
  const manifest: Manifest = { key: KEY, passphrase: PASSPHRASE, repositories };
  fs.writeFileSync(file, `${JSON.stringify(manifest)}\n`);
}

await makeAll();
