import { randomBytes } from "node:crypto";
import { z } from "zod";
import { BackupctlError, messageOf } from "../../errors.ts";
import { runTool } from "../../platform/process.ts";
import type { EngineContext, RestoreOutcome, StreamEntry, StreamRestore } from "../engine.ts";
import { checkRestored } from "./check-restored.ts";
import { chooseTool, type FoundTool } from "./client-tools.ts";
import { addressOf, connectionArguments, databaseArgument } from "./connection.ts";
import { failureOf } from "./failures.ts";
import { applyGlobals } from "./globals.ts";
import { type DatabaseInventory, type SourceInventory, sourceInventory } from "./inventory.ts";
import { isOwnLeaving, type PostgresSource } from "./plan-dump.ts";
import { openSession, type Session } from "./session.ts";
import { splitStream } from "./stream-parts.ts";
import { swapDatabases } from "./swap.ts";
import { type Target, targetOf } from "./target.ts";
import {
  applyProperties,
  createDatabase,
  databaseExists,
  dropDatabase,
  nameBeside,
  serverMajor,
} from "./target-database.ts";
import { createToolEnvironment, type ToolEnvironment } from "./tool-environment.ts";

interface Run {
  readonly target: Target;
  readonly context: EngineContext;
  readonly pgRestore: FoundTool;
  readonly environment: ToolEnvironment;
  readonly admin: Session;
  readonly inventory: SourceInventory | undefined;
  /** Part of every name that this run makes. */
  readonly token: string;
  readonly warnings: string[];
  readonly checks: RestoreOutcome["checks"][number][];
}

interface Beside {
  readonly temporaryName: string;
  readonly name: string;
}

/**
 * Restores every chosen database beside the targets, checks all of them, and only then swaps the names. Until the first swap
 * a failure or an abort leaves the targets as they were and removes what was made.
 */
export async function restore(
  source: PostgresSource,
  request: StreamRestore,
  context: EngineContext,
): Promise<RestoreOutcome> {
  const target = targetOf(source, request);
  const frame = {
    code: "RESTORE_FAILED",
    what: `restore to ${target.place} failed`,
    context,
    options: target.options,
  } as const;
  const environment = await createToolEnvironment(target.connection, context.temporaryDirectory);
  const parts = splitStream(request.bytes);
  try {
    if (target.refusal !== undefined) throw new BackupctlError("USAGE", target.refusal);
    const admin = await openSession(target.connection, target.adminDatabase, context.signal);
    try {
      await refuseExisting(admin, target, request.dropExisting || request.rehearsal === true);
      const run: Run = {
        target,
        context,
        environment,
        admin,
        pgRestore: await choosePgRestore(source, target, admin, context),
        // one that can't be read must not keep anyone from the data: each database then says that nothing was compared
        inventory: sourceInventory.safeParse(request.inventory).data,
        token: randomBytes(4).toString("hex"),
        warnings: [],
        checks: [],
      };
      await warnOfLeavings(run);
      return await restoreBesideAndSwap(run, request, parts);
    } finally {
      await admin.close();
    }
  } catch (error) {
    throw failureOf(error, frame);
  } finally {
    await parts.close().catch(() => undefined);
    await environment.remove();
  }
}

async function refuseExisting(admin: Session, target: Target, dropExisting: boolean): Promise<void> {
  if (dropExisting) return;
  for (const { name } of target.databases) {
    if (!(await databaseExists(admin, name))) continue;
    throw new BackupctlError("TARGET_NOT_EMPTY", `database "${name}" exists on ${addressOf(target.connection)}`, {
      hint: "Restore under another name with --to NAME, or replace it with --drop-existing.",
    });
  }
}

async function choosePgRestore(
  { tools }: PostgresSource,
  target: Target,
  admin: Session,
  context: EngineContext,
): Promise<FoundTool> {
  const writtenBy = target.databases.map(({ entry }) => Number.parseInt(String(entry.pg_dump ?? "0"), 10) || 0);
  return await chooseTool({
    tool: "pg_restore",
    atLeast: Math.max(await serverMajor(admin), ...writtenBy),
    tools,
    signal: context.signal,
    ...(target.options.bin_directory === undefined ? {} : { binDirectory: target.options.bin_directory }),
  });
}

async function warnOfLeavings({ admin, warnings }: Run): Promise<void> {
  const rows = await admin.rows(
    z.object({ name: z.string() }),
    "select datname::text as name from pg_catalog.pg_database order by 1",
  );
  for (const { name } of rows.filter((row) => isOwnLeaving(row.name))) {
    warnings.push(
      `database "${name}" is left from a restore that did not end; if none is running, drop it: dropdb '${name}'`,
    );
  }
}

async function restoreBesideAndSwap(
  run: Run,
  { entries, rehearsal, coming }: StreamRestore,
  parts: ReturnType<typeof splitStream>,
): Promise<RestoreOutcome> {
  const { target, context, warnings, checks, token } = run;
  const made: Beside[] = [];
  const swapped: string[] = [];
  try {
    for (const entry of entries.filter(isPart).sort((a, b) => a.offset - b.offset)) {
      context.signal.throwIfAborted();
      if (entry.type === "globals") {
        if (rehearsal) continue;
        coming?.();
        await restoreGlobals(run, parts.part(entry));
        continue;
      }
      const name = target.databases.find((database) => database.entry === entry)?.name ?? entry.name;
      const beside = { name, temporaryName: nameBeside(name, "backupctl", token) };
      made.push(beside);
      await restoreDatabase(run, { entry, ...beside, bytes: parts.part(entry) });
    }
    await parts.drain();
    refuseFailedChecks(run);
    context.signal.throwIfAborted();
    // What was made and not swapped is removed below.
    for (const { name, temporaryName } of rehearsal ? [] : made) {
      context.activity(`putting "${name}" in place`);
      coming?.();
      const { connection, adminDatabase } = target;
      const swap = { connection, adminDatabase, from: temporaryName, to: name, token, signal: context.signal };
      warnings.push(...(await swapDatabases(swap)));
      swapped.push(name);
    }
    return { place: target.place, checks, warnings };
  } catch (error) {
    if (swapped.length === 0) throw error;
    throw new BackupctlError(
      "RESTORE_FAILED",
      `only ${swapped.map((name) => `"${name}"`).join(", ")} was put in place: ${messageOf(error)}`,
      {
        hint: "The other databases are as they were. Restore them again with --include DATABASE.",
        data: { restored: swapped },
      },
    );
  } finally {
    await removeUnswapped(
      run,
      made.filter(({ name }) => !swapped.includes(name)),
    );
  }
}

function isPart(entry: StreamEntry): boolean {
  return entry.type === "globals" || entry.type === "database";
}

/** After an abort a server that does not answer is not waited for: what is left is named. */
const REMOVAL_AFTER_ABORT_MS = 5_000;

/** With a session of its own: after an abort the run's session is closed, and the leavings have to go all the same. */
async function removeUnswapped({ target, warnings, context }: Run, leavings: readonly Beside[]): Promise<void> {
  if (leavings.length === 0) return;
  try {
    const limit = context.signal.aborted ? AbortSignal.timeout(REMOVAL_AFTER_ABORT_MS) : undefined;
    const session = await openSession(target.connection, target.adminDatabase, limit);
    try {
      for (const { temporaryName } of leavings) await dropDatabase(session, temporaryName);
    } finally {
      await session.close();
    }
  } catch (error) {
    const names = leavings.map(({ temporaryName }) => temporaryName).join(", ");
    const warning = `the unfinished database ${names} could not be dropped: ${messageOf(error)}`;
    warnings.push(warning);
    context.warn(warning);
  }
}

async function restoreGlobals(run: Run, bytes: AsyncIterable<Uint8Array>): Promise<void> {
  run.context.activity("roles");
  const pieces: Uint8Array[] = [];
  for await (const piece of bytes) pieces.push(piece);
  run.warnings.push(...(await applyGlobals(run.admin, Buffer.concat(pieces).toString("utf8"))));
}

interface DatabaseRestore extends Beside {
  readonly entry: StreamEntry;
  readonly bytes: AsyncIterable<Uint8Array>;
}

async function restoreDatabase(run: Run, { entry, name, temporaryName, bytes }: DatabaseRestore): Promise<void> {
  const { admin, context, target, warnings } = run;
  const inventory = run.inventory?.databases[entry.name];
  if (inventory === undefined)
    warnings.push(`the backup has no inventory of database "${entry.name}": nothing to compare with`);
  context.activity(`database ${name}`);
  await createDatabase(admin, temporaryName, inventory?.properties);
  await runPgRestore(run, { temporaryName, bytes, keepOwners: await rolesExist(run, name, inventory) });
  if (inventory === undefined) return;
  const session = await openSession(target.connection, temporaryName, context.signal);
  try {
    const checks = await checkRestored(session, inventory, context.activity);
    const prefix = target.databases.length > 1 ? `${name}: ` : "";
    run.checks.push(...checks.map((check) => ({ ...check, name: prefix + check.name })));
  } finally {
    await session.close();
  }
  const about = await applyProperties(admin, temporaryName, inventory);
  warnings.push(...about.map((warning) => warning.replaceAll(temporaryName, name)));
}

/** Without its roles a restore fails at the first owner; the data is worth more than who owns it. */
async function rolesExist(
  { admin, target, warnings }: Run,
  name: string,
  inventory: DatabaseInventory | undefined,
): Promise<boolean> {
  if (inventory === undefined) return true;
  const rows = await admin.rows(
    z.object({ name: z.string() }),
    "select rolname::text as name from pg_catalog.pg_roles",
  );
  const existing = new Set(rows.map((row) => row.name));
  const missing = inventory.roles.filter((role) => !existing.has(role));
  if (missing.length === 0) return true;
  warnings.push(
    `roles that do not exist here: ${missing.join(", ")}; so everything in "${name}" belongs to ${target.connection.user}, and rights were left out`,
  );
  return false;
}

interface PgRestoreInput {
  readonly temporaryName: string;
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly keepOwners: boolean;
}

async function runPgRestore(run: Run, { temporaryName, bytes, keepOwners }: PgRestoreInput): Promise<void> {
  let broken: { readonly error: unknown } | undefined;
  async function* watched() {
    try {
      yield* bytes;
    } catch (error) {
      broken = { error };
      throw error;
    }
  }
  try {
    await runTool({
      command: run.pgRestore.command,
      args: [
        "--exit-on-error",
        ...(keepOwners ? [] : ["--no-owner", "--no-privileges"]),
        ...connectionArguments(run.target.connection),
        databaseArgument(temporaryName),
      ],
      env: run.environment.env,
      signal: run.context.signal,
      input: watched(),
    });
  } catch (error) {
    // a stream that broke makes the tool fail too, with a message that hides why
    throw broken === undefined ? error : broken.error;
  }
}

function refuseFailedChecks({ checks }: Run): void {
  const failed = checks.filter((check) => !check.passed);
  if (failed.length === 0) return;
  const details = failed.map((check) => `${check.name}: ${check.detail}`).join("; ");
  throw new BackupctlError("RESTORE_FAILED", `the restored data differs from the backup's inventory: ${details}`, {
    hint: "Nothing was replaced. Check the backup with backupctl verify --deep.",
    data: { checks },
  });
}
