import { z } from "zod";
import { MODES } from "../domain/backup.ts";
import { parseFiniteDuration } from "../domain/duration.ts";
import { formatBytes } from "../domain/size.ts";
import { exitStatusOfCreate } from "../operations/exit-status.ts";
import type { CreateResult } from "../operations/operations.ts";
import type { Job, JobOutcome } from "./job.ts";

const names = z.array(z.string().min(1)).default([]);

const options = z.object({
  type: z
    .string()
    .min(1)
    .optional()
    .describe("What is backed up: full, or one component. A mode, such as incremental, means that mode of everything.")
    .meta({ example: "full" }),
  mode: z.enum(MODES).optional().describe("How: full (default), incremental or differential."),
  components: names.describe("Only the sources of these components.").meta({ example: ["database", "files"] }),
  sources: names.describe("Only these sources."),
  categories: names.describe("Only the file sources of these categories."),
  storages: names.describe("Only to these storages, and to the primary."),
  tags: names.describe("Tags of its backups, beside those of all."),
  retention_days: z
    .int()
    .min(1)
    .max(36_500)
    .optional()
    .describe("Its backups are kept so many days, whatever their class.")
    .meta({ example: 30 }),
  full_every: z
    .string()
    .regex(/^[1-9]\d{0,4}([hdwy]|mo)$/, "must be a number and a unit, such as 7d")
    .optional()
    .describe(
      "An incremental backup of this schedule becomes a full one when its full is so old. Default: chain.full_every.",
    )
    .meta({ example: "7d" }),
  if_changed: z.boolean().default(false).describe("Make none if nothing changed since the last."),
});

/** `backupctl create`. */
export const createJob: Job = {
  options,
  async run(operations, { run, options: given, lockWaitMs, onProgress }) {
    const { full_every, if_changed, retention_days, ...chosen } = options.parse(given);
    const result = await operations.create({
      ...chosen,
      tables: [],
      ifChanged: if_changed,
      manual: false,
      run,
      retentionDays: retention_days,
      fullEvery: full_every === undefined ? undefined : parseFiniteDuration(full_every),
      lockWaitMs,
      onProgress,
    });
    return {
      exitCode: exitStatusOfCreate(result),
      summary: summaryOf(result),
      problems: problemsOf(result),
      facts: factsOf(result),
    };
  },
};

function summaryOf({ backup }: CreateResult): string {
  if (backup === undefined) return "nothing changed since the last backup: none was made";
  return `backup ${backup.id} ${backup.status}: ${backup.mode}, ${formatBytes(backup.storedBytes ?? 0)} stored`;
}

function factsOf({ backup }: CreateResult): JobOutcome["facts"] {
  return backup === undefined
    ? {}
    : {
        backup_id: backup.id,
        mode: backup.mode,
        size_bytes: backup.sizeBytes ?? 0,
        stored_bytes: backup.storedBytes ?? 0,
      };
}

function problemsOf({ sources, storages }: CreateResult): readonly string[] {
  return [
    ...sources.flatMap(({ name, error }) =>
      error === undefined ? [] : [`source "${name}" failed: ${error.code}: ${error.message}`],
    ),
    ...sources.flatMap(({ name, unreadable }) =>
      unreadable.length === 0 ? [] : [`source "${name}" could not read ${unreadable.length} entries`],
    ),
    ...storages.flatMap(({ name, state }) => (state === "complete" ? [] : [`storage "${name}" is ${state}`])),
  ];
}
