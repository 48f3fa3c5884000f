import { promises as fs } from "node:fs";
import { durationMs, parseFiniteDuration } from "../../domain/duration.ts";
import { BackupctlError } from "../../errors.ts";
import type { Engine, TargetRequest } from "../engine.ts";
import { fileAt } from "../file-target.ts";
import { dumpDatabase } from "./dump.ts";
import { type SqliteOptions, options as schema } from "./options.ts";
import { inspectFile, restoreDatabase } from "./restore.ts";

/** SQLite: one database file, consistent while it is written to. */
export function openEngine(options: SqliteOptions): Engine {
  const timeoutMs = durationMs(parseFiniteDuration(options.busy_timeout));
  return {
    async estimate() {
      const sizes = await Promise.all(
        [options.path, `${options.path}-wal`].map((file) =>
          fs.stat(file).then(
            (found) => found.size,
            () => 0,
          ),
        ),
      );
      return { sizeBytes: sizes.reduce((sum, size) => sum + size, 0), items: 1 };
    },
    dump: (context) => dumpDatabase(options.path, timeoutMs, context),
    inspectTarget: async (request, context) => inspectFile(await targetOf(request, options), context.signal),
    restore: async (request, context) => restoreDatabase(await targetOf(request, options), request, context),
    download: {
      files: (entries) => entries.map(({ name, offset, size }) => ({ name, offset, size })),
    },
  };
}

async function targetOf(request: TargetRequest, options: SqliteOptions): Promise<string> {
  if (request.to !== undefined) return fileAt(request.to, request.entries[0]?.name ?? "database.sqlite");
  const merged = schema.safeParse({ ...options, ...request.overrides });
  if (merged.success) return merged.data.path;
  throw new BackupctlError("CONFIG_INVALID", "the target's options for this source are not valid", {
    hint: "Check the config with `backupctl config validate`.",
  });
}
