import { z } from "zod";
import type { DownloadFile, Engine, EngineContext, EngineTools, Estimate, StreamEntry } from "../engine.ts";
import { connectionOf, withoutUrl } from "./connection.ts";
import { startDump } from "./dump.ts";
import { failureOf } from "./failures.ts";
import type { PostgresOptions } from "./options.ts";
import { chosenDatabases, firstDatabase, type PostgresSource } from "./plan-dump.ts";
import { restore } from "./restore.ts";
import { openSession } from "./session.ts";
import { inspect, targetOf } from "./target.ts";

/** PostgreSQL through its own pg_dump and pg_restore. */
export function openEngine(options: PostgresOptions, tools: EngineTools): Engine {
  const source: PostgresSource = { options: withoutUrl(options), tools };
  return {
    estimate: async (context) => await estimate(source, context),
    dump: async (context) => await startDump(source, context),
    async inspectTarget(request, context) {
      const target = targetOf(source, request);
      const what = `looking at ${target.place} failed`;
      return await inspect(target, context).catch((error: unknown) => {
        throw failureOf(error, { code: "RESTORE_FAILED", what, context, options: target.options });
      });
    },
    restore: async (request, context) => await restore(source, request, context),
    download: { files: downloadFiles },
  };
}

async function estimate({ options }: PostgresSource, context: EngineContext): Promise<Estimate> {
  const what = `reading the size of source "${context.sourceName}" failed`;
  try {
    const session = await openSession(connectionOf(options), firstDatabase(options), context.signal);
    try {
      const names = await chosenDatabases(session, options);
      const [row] = await session.rows(
        z.object({ size: z.coerce.number() }),
        "select coalesce(sum(pg_catalog.pg_database_size(datname)), 0)::text as size from pg_catalog.pg_database where datname = any($1)",
        [names],
      );
      // indexes take space in the database and none in a dump, and tables may be left out
      return { sizeBytes: row?.size ?? 0, items: names.length, uncertain: true };
    } finally {
      await session.close();
    }
  } catch (error) {
    throw failureOf(error, { code: "SOURCE_FAILED", what, context, options });
  }
}

/** `globals.sql` for psql, and for each database a file for pg_restore: one of its own, whatever is in its name. */
function downloadFiles(entries: readonly StreamEntry[]): readonly DownloadFile[] {
  return entries
    .filter((entry) => entry.type === "globals" || entry.type === "database")
    .map(({ name, type, offset, size }) => ({
      name: type === "globals" ? name : `${name.replace(/[%/]/g, encodeURIComponent)}.dump`,
      offset,
      size,
    }));
}
