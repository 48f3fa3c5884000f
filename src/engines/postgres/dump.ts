import { z } from "zod";
import { durationMs, parseFiniteDuration } from "../../domain/duration.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { runTool, streamTool } from "../../platform/process.ts";
import type { DumpContext, StreamDump, StreamEntry, StreamSummary } from "../engine.ts";
import { entriesOf, inventoryOf } from "./archive-contents.ts";
import { withoutDate } from "./archive-date.ts";
import { connectionArguments, databaseArgument } from "./connection.ts";
import { createArchiveReader } from "./custom-archive.ts";
import { type FailureFrame, failureOf } from "./failures.ts";
import type { DatabaseInventory } from "./inventory.ts";
import { largeWrites } from "./large-writes.ts";
import { type DumpPlan, firstDatabase, type PostgresSource, planDump } from "./plan-dump.ts";
import { readInventory } from "./read-inventory.ts";
import { withStableRestrictKey } from "./restrict-key.ts";
import { openSession, type Session } from "./session.ts";
import { createToolEnvironment, type ToolEnvironment } from "./tool-environment.ts";

const BEGIN = "begin isolation level repeatable read, read only";

const GLOBALS_NAME = "globals.sql";
/** The last line of every `pg_dumpall`. */
const GLOBALS_END = "-- PostgreSQL database cluster dump complete";

interface Run {
  readonly source: PostgresSource;
  readonly plan: DumpPlan;
  readonly context: DumpContext;
  readonly environment: ToolEnvironment;
  readonly entries: StreamEntry[];
  readonly inventories: Map<string, DatabaseInventory>;
  readonly warnings: string[];
  offset: number;
}

/**
 * The stream: globals.sql, then one custom archive a database, each read under a snapshot that its inventory shares. Each
 * part ends with a proof that it is whole, or the dump fails with `SOURCE_FAILED`.
 */
export async function startDump(source: PostgresSource, context: DumpContext): Promise<StreamDump> {
  const frame: FailureFrame = {
    code: "SOURCE_FAILED",
    what: `dump of source "${context.sourceName}" failed`,
    context,
    options: source.options,
  };
  const plan = await planDump(source, context).catch((error: unknown) => {
    throw failureOf(named(error, frame), frame);
  });
  let summary: StreamSummary | undefined;

  async function* bytes(): AsyncGenerator<Uint8Array> {
    const environment = await createToolEnvironment(plan.connection, context.temporaryDirectory);
    const run: Run = {
      source,
      plan,
      context,
      environment,
      entries: [],
      inventories: new Map(),
      warnings: [],
      offset: 0,
    };
    try {
      const databases = plan.databases.map((database) => dumpDatabase(run, database));
      if (plan.globals !== undefined) yield* alongside(dumpGlobals(run, plan.globals), databases[0]);
      for (const database of databases) yield* database;
      summary = summaryOf(run);
    } catch (error) {
      throw failureOf(named(error, frame), frame);
    } finally {
      await environment.remove();
    }
  }

  return {
    shape: "stream",
    kind: "pgdump",
    bytes: bytes(),
    async finish() {
      context.signal.throwIfAborted();
      if (summary === undefined) throw new BackupctlError("SOURCE_FAILED", `${frame.what}: it was not read to its end`);
      return summary;
    },
  };
}

/** One after the other, but the second begins while the first is waited for: each lets the server work alone for a while. */
async function* alongside(
  before: AsyncGenerator<Uint8Array>,
  after: AsyncGenerator<Uint8Array> | undefined,
): AsyncGenerator<Uint8Array> {
  const begun = after?.next();
  begun?.catch(() => undefined);
  try {
    yield* before;
    const first = await begun;
    if (first?.done === false) yield first.value;
    if (after !== undefined) yield* after;
  } finally {
    await after?.return(undefined);
  }
}

/** A failure that came without the source's name gets it; hint and code stay. */
function named(error: unknown, frame: FailureFrame): unknown {
  if (!isBackupctlError(error, "SOURCE_FAILED") || error.message.startsWith(frame.what)) return error;
  return new BackupctlError("SOURCE_FAILED", `${frame.what}: ${error.message}`, {
    ...(error.hint === undefined ? {} : { hint: error.hint }),
  });
}

async function* dumpGlobals(
  run: Run,
  { tool, passwords }: NonNullable<DumpPlan["globals"]>,
): AsyncGenerator<Uint8Array> {
  const { plan, context, environment } = run;
  context.activity(GLOBALS_NAME);
  if (!passwords)
    run.warnings.push(`${plan.connection.user} may not read roles' passwords: they are not in this backup`);
  const args = [
    "--globals-only",
    ...(passwords ? [] : ["--no-role-passwords"]),
    ...connectionArguments(plan.connection),
  ];
  const dumped = await runTool({
    command: tool.command,
    args: [...args, `--database=${firstDatabase(run.source.options)}`],
    env: environment.env,
    ...limitsOf(run),
  });
  const stdout = withStableRestrictKey(dumped.stdout);
  if (!stdout.includes(GLOBALS_END)) throw new Error("pg_dumpall ended without its completion mark");
  run.entries.push({ name: GLOBALS_NAME, type: "globals", offset: run.offset, size: stdout.length, passwords });
  run.offset += stdout.length;
  yield stdout;
}

async function* dumpDatabase(run: Run, database: DumpPlan["databases"][number]): AsyncGenerator<Uint8Array> {
  const { plan, context } = run;
  context.activity(`database ${database.name}`);
  const patience = patienceWith(run, database.name);
  const session = await openSession(plan.connection, database.name, AbortSignal.any([context.signal, patience.signal]));
  try {
    const snapshot = await beginSnapshot(session, run);
    const inventory = await readInventory(session);
    patience.end();
    const tool = await streamTool({
      command: plan.pgDump.command,
      args: dumpArguments(run, database, snapshot),
      env: { ...run.environment.env, ...largeWrites(process.env) },
      ...limitsOf(run),
    });
    const reader = createArchiveReader();
    let readAll = false;
    try {
      let current: string | undefined;
      for await (const piece of withoutDate(tool.stdout)) {
        reader.push(piece);
        if (reader.current !== current) {
          current = reader.current;
          context.activity(`${database.name}/${current ?? ""}`);
        }
        yield piece;
      }
      readAll = true;
    } finally {
      // the reader stopped early: the tool must not outlive it, and how it ends says nothing any more
      if (!readAll) {
        tool.kill();
        await tool.finish().catch(() => undefined);
      }
    }
    await tool.finish();
    const archive = reader.end();
    for (const entry of entriesOf(database.name, archive, run.offset)) run.entries.push(entry);
    run.inventories.set(database.name, inventoryOf(archive, inventory));
    run.offset += archive.sizeBytes;
  } finally {
    patience.end();
    await session.close();
  }
}

/** Aborts when the server takes longer than `timeout` to say what a database holds: a table may be locked, or the connection dead. */
function patienceWith({ source }: Run, database: string): { readonly signal: AbortSignal; end(): void } {
  const late = new AbortController();
  const { timeout } = source.options;
  const giveUp = (): void =>
    late.abort(
      new BackupctlError(
        "SOURCE_FAILED",
        `the server did not say within ${timeout} what database "${database}" holds`,
        {
          hint: "See in pg_stat_activity and pg_locks what it waits for. lock_wait_timeout gives up on locked tables earlier; `timeout` sets this limit.",
        },
      ),
    );
  // A timer of more than 24 days would fire at once.
  const timer = setTimeout(giveUp, Math.min(durationMs(parseFiniteDuration(timeout)), 2 ** 31 - 1)).unref();
  return { signal: late.signal, end: () => clearTimeout(timer) };
}

/** On a connection that died without a word a tool would wait for ever. */
function limitsOf({ source, context }: Run): { readonly signal: AbortSignal; readonly timeoutMs: number } {
  return { signal: context.signal, timeoutMs: durationMs(parseFiniteDuration(source.options.timeout)) };
}

/** Opens the transaction whose snapshot inventory and dump share. It stays open until the session closes, after the dump. */
async function beginSnapshot(session: Session, run: Run): Promise<string | undefined> {
  // reading a table's size waits for its lock, as the dump does, so both waits have the same limit
  await session.execute(
    `select pg_catalog.set_config('search_path', '', false);
     set statement_timeout = 0; set lock_timeout = '${run.source.options.lock_wait_timeout ?? "0"}'; set idle_in_transaction_session_timeout = 0; set row_security = off`,
  );
  await session.execute(BEGIN);
  try {
    const [row] = await session.rows(z.object({ id: z.string() }), "select pg_catalog.pg_export_snapshot() as id");
    return row?.id;
  } catch {
    // some standbys and poolers can't; the dump is consistent in itself all the same
    await session.execute("rollback");
    await session.execute(BEGIN);
    run.warnings.push("this server can't share a snapshot: the inventory was read a moment before the dump");
    return undefined;
  }
}

function dumpArguments(
  run: Run,
  database: DumpPlan["databases"][number],
  snapshot: string | undefined,
): readonly string[] {
  const { options } = run.source;
  return [
    "--format=custom",
    // the pipeline compresses, and finds unchanged parts only in what is not compressed
    "--compress=0",
    ...(snapshot === undefined ? [] : [`--snapshot=${snapshot}`]),
    ...(database.tables.length === 0 ? [] : ["--strict-names"]),
    ...database.tables.map((pattern) => `--table=${pattern}`),
    ...(options.exclude_tables ?? []).map((pattern) => `--exclude-table=${pattern}`),
    ...(options.exclude_table_data ?? []).map((pattern) => `--exclude-table-data=${pattern}`),
    ...(options.lock_wait_timeout === undefined ? [] : [`--lock-wait-timeout=${options.lock_wait_timeout}`]),
    ...connectionArguments(run.plan.connection),
    databaseArgument(database.name),
  ];
}

function summaryOf(run: Run): StreamSummary {
  const inventories = [...run.inventories.values()];
  const sum = (count: (inventory: DatabaseInventory) => number) =>
    inventories.reduce((total, inventory) => total + count(inventory), 0);
  for (const [name, inventory] of run.inventories) {
    if (inventory.tables.length === 0) run.warnings.push(`database "${name}" has no tables`);
  }
  return {
    entries: run.entries,
    inventory: { databases: Object.fromEntries(run.inventories) },
    counts: {
      databases: inventories.length,
      tables: sum((inventory) => inventory.tables.length),
      rows: sum((inventory) => inventory.tables.reduce((rows, table) => rows + (table.rows ?? 0), 0)),
      sequences: sum((inventory) => inventory.sequences.length),
      views: sum((inventory) => inventory.views.length + inventory.materialized_views.length),
      functions: sum((inventory) => inventory.functions.length),
      triggers: sum((inventory) => inventory.triggers.length),
      extensions: sum((inventory) => inventory.extensions.length),
      large_objects: sum((inventory) => inventory.large_objects),
    },
    versions: { server: run.plan.serverVersion, pg_dump: run.plan.pgDump.version, method: "pg_dump" },
    unreadable: [],
    warnings: run.warnings,
  };
}
