import { CATEGORIES, MODES } from "../../domain/backup.ts";
import { exitStatusOfCreate } from "../../operations/exit-status.ts";
import type { CreatePlan, CreateRequest } from "../../operations/operations.ts";
import { defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { DRY_RUN, LOCK_WAIT } from "../global-options.ts";
import { choice, duration, flag, integer, names, negatable, optionalWord, text } from "../option.ts";
import { createProblems, renderCreatePlan, renderCreateResult, renderPlannedSources } from "../render/create.ts";
import { createJson, createPlanJson } from "../render/json.ts";

export const create = defineCommand({
  name: "create",
  group: "Daily",
  summary: "back up everything, or what the options name",
  description: [
    "Reads the sources of the configuration, stores what is new, compressed and encrypted, and checks every block of it. Without options that is a full backup of every source.",
    "An incremental backup stores what changed since the last one, a differential what changed since the last full one. Where no usable backup exists to build on, a full one is made and the reason is said.",
  ],
  options: {
    type: text("TYPE", "full, or one component: database, files, configuration, or your own", {
      choices: ["full", "database", "files", "configuration"],
    }),
    mode: text("MODE", "full (default), incremental or differential", { choices: MODES }),
    component: names("A,B", "only the sources of these components"),
    source: names("A,B", "only these sources"),
    category: names("A,B", "only the file sources of these categories"),
    table: names("A,B", "only these tables, of the databases that let one choose"),
    class: choice(CATEGORIES, "the retention class (else chosen by type, mode and date)", { placeholder: "CLASS" }),
    ifChanged: flag("make none if nothing changed since the last"),
    encrypt: negatable("encrypt or not (else as configured)"),
    compress: negatable("compress or not (else as configured)"),
    compressionLevel: integer("N", { min: 1, max: 19 }, "1 to 19 for zstd, 1 to 9 for gzip"),
    verify: optionalWord("full", "full also reads everything back; --no-verify skips all checks"),
    manual: flag("a manual backup, kept until someone deletes it"),
    description: text("TEXT", "a note, shown by list and show"),
    tag: names("A,B", "tags to find it by"),
    retentionDays: integer("N", { min: 1, max: 36_500 }, "keep it this many days, whatever its class"),
    storage: names("A,B", "only to these storages, and to the primary"),
    lockWait: duration(LOCK_WAIT.placeholder, LOCK_WAIT.description),
    dryRun: DRY_RUN,
  },
  examples: [
    { command: "backupctl create", text: "Everything, in full" },
    {
      command: "backupctl create --mode incremental",
      text: "What changed since the last backup, e.g. every 15 minutes",
    },
    { command: "backupctl create --type files --category media", text: "The file sources of one category" },
    {
      command: 'backupctl create --manual --description "before the deploy"',
      text: "By hand, kept until it is deleted",
    },
  ],
  exitCodes: {
    0: "the backup is complete, or --if-changed found nothing new since one that is",
    3: "the backup exists, but lacks a source, a storage or unreadable files; or --if-changed found nothing new since one that a storage lacks",
    11: "another backup is running",
    12: "the encryption key is missing or wrong",
  },
  run: async (context, values) => {
    const request: CreateRequest = {
      type: values.type,
      mode: values.mode,
      components: values.component,
      sources: values.source,
      categories: values.category,
      tables: values.table,
      retentionClass: values.class,
      ifChanged: values.ifChanged,
      encrypt: values.encrypt,
      compress: values.compress,
      compressionLevel: values.compressionLevel,
      verify: values.verify,
      manual: values.manual,
      description: values.description,
      tags: values.tag,
      retentionDays: values.retentionDays,
      storages: values.storage,
      lockWaitMs: values.lockWait ?? 0,
    };
    return values.dryRun ? plan(context, request) : make(context, request);
  },
});

async function plan({ operations, output, look, json }: Context, request: CreateRequest): Promise<number> {
  const planned = await (await operations("strict")).planCreate(request);
  if (json) output.printJson(createPlanJson(planned));
  else
    output.print(
      `${renderCreatePlan(look, planned)}\n\n${await renderPlannedSources(look, planned)}\n\nNothing was stored (--dry-run).`,
    );
  return 0;
}

async function make(context: Context, request: CreateRequest): Promise<number> {
  const { output, look, noteLook, json } = context;
  const onPlan = (planned: CreatePlan): void => output.note(renderCreatePlan(noteLook, planned));
  const operations = await context.operations("strict");
  const result = await context.withProgress((onProgress) => operations.create({ ...request, onProgress, onPlan }));
  if (json) output.printJson(createJson(result));
  else {
    output.report(await renderCreateResult(look, result));
    for (const problem of createProblems(noteLook, result)) output.warn(problem);
  }
  return exitStatusOfCreate(result);
}
