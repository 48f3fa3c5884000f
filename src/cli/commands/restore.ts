import { parseInstant } from "../../domain/timestamp.ts";
import { BackupctlError } from "../../errors.ts";
import type { RestorePlan, RestoreRequest } from "../../operations/operations.ts";
import { BACKUP_ARGUMENT, defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { DRY_RUN, LOCK_WAIT, YES } from "../global-options.ts";
import { duration, flag, names, repeated, text } from "../option.ts";
import { requireConsent } from "../prompts/consent.ts";
import { restoreJson, restorePlanJson } from "../render/json-runs.ts";
import { formatSeconds } from "../render/look.ts";
import { renderRestorePlan, renderRestoreResult, restoreOutcome, restoreProblems } from "../render/restore.ts";
import { writeFiles } from "./download.ts";

export const restore = defineCommand({
  name: "restore",
  group: "Restore",
  summary: "bring data back: to its own place, a folder or a target",
  description: [
    "Shows a plan first: what comes back, from where, what it replaces, how long it takes. Everything needed is verified before anything is touched; the old state is in place until the new one is complete. Only what --to - writes is verified as it goes: believe it when the exit status is 0.",
    "Without --to and --target the data goes back to where it came from. That asks for a yes, and so does everything that replaces something; without a terminal --yes must be given.",
    "What exists is never replaced unasked: --overwrite replaces the files that the backup has and keeps others, --delete removes those too, --drop-existing replaces a database.",
  ],
  argument: { ...BACKUP_ARGUMENT, required: false },
  options: {
    latest: flag("the newest good backup; as if given where only --type, --component or --source are"),
    timestamp: text("TIME", "the newest at or before this time, with its zone", { aliases: ["point-in-time"] }),
    maxGap: duration("DURATION", "how much older than --timestamp it may be (default 15m)"),
    type: text("TYPE", "only this component; of several backups the newest that holds it, or the newest full one", {
      choices: ["full", "database", "files", "configuration"],
    }),
    component: names("A,B", "only these components"),
    source: names("A,B", "only these sources"),
    include: repeated("PATH", "of file trees only this path; may be repeated"),
    exclude: repeated("PATH", "of file trees not this path; may be repeated"),
    to: text("PATH", "into this folder, or a database of this name; - is standard output, for one source", {
      aliases: ["restore-path"],
      path: true,
    }),
    target: text("NAME", "to this target of the configuration", { aliases: ["target-environment"] }),
    overwrite: flag("replace files that exist", { aliases: ["overwrite-existing"] }),
    delete: flag("with --overwrite: remove files that the backup does not have"),
    dropExisting: flag("replace databases that exist"),
    skipDamaged: flag("restore what is sound of a damaged backup"),
    allowUnencrypted: text("ID", "accept that this backup is not encrypted"),
    lockWait: duration(LOCK_WAIT.placeholder, LOCK_WAIT.description),
    yes: YES,
    dryRun: DRY_RUN,
    item: text("ITEM", "one row", { hidden: true }),
  },
  examples: [
    { command: "backupctl restore --latest --to /tmp/look", text: "All of the newest backup, beside everything" },
    { command: "backupctl restore 550e8400 --dry-run", text: "What a restore in place would do" },
    {
      command: "backupctl restore --latest --type database --drop-existing",
      text: "The database, over the one that is there",
    },
    {
      command: 'backupctl restore --timestamp "2026-01-11T10:30:00Z" --target staging',
      text: "As it was then, to staging",
    },
    { command: "backupctl restore latest --source uploads --include /srv/www/logo.png --overwrite", text: "One file" },
  ],
  exitCodes: {
    2: "wrong usage, something is in the way, or not confirmed; nothing was done",
    3: "some sources were restored, others not; or what has to be thawed was asked for",
    4: "the backup is damaged, or a check after the restore failed",
    10: "there is no such backup, or none at or before the time",
    11: "another restore is running",
    12: "the encryption key is missing or wrong",
  },
  run: async (context, values, [reference]) => {
    if (values.item !== undefined || values.type === "granular") {
      throw new BackupctlError("USAGE", "restoring one row does not exist yet", {
        hint: "Restore the source beside the live one with `backupctl restore BACKUP --source NAME --to NEW_NAME`, then copy the row.",
      });
    }
    const request: RestoreRequest = {
      ...chosen(reference, values),
      type: values.type,
      maxGapMs: values.maxGap,
      components: values.component,
      sources: values.source,
      to: values.to,
      include: values.include,
      exclude: values.exclude,
      target: values.target,
      dropExisting: values.dropExisting,
      overwrite: values.overwrite,
      delete: values.delete,
      skipDamaged: values.skipDamaged,
      allowUnencrypted: values.allowUnencrypted,
      lockWaitMs: values.lockWait ?? 0,
    };
    checkPlace(request);
    if (request.to === "-") return toStandardOutput(context, request, values.dryRun);
    const plan = await (await context.operations("rescue")).planRestore(request);
    return values.dryRun ? showPlan(context, plan) : apply(context, request, { plan, yes: values.yes });
  },
});

type Choice = Pick<RestoreRequest, "reference" | "latest" | "timestamp">;

interface ChoiceOptions {
  readonly latest: boolean;
  readonly timestamp: string | undefined;
  readonly maxGap: number | undefined;
  readonly type: string | undefined;
  readonly component: readonly string[];
  readonly source: readonly string[];
}

/** To say what is wanted of a backup is to mean the newest that has it; to say nothing is no choice. @throws `USAGE` */
function chosen(reference: string | undefined, { latest, timestamp, ...wanted }: ChoiceOptions): Choice {
  const isLatest = latest || reference === "latest";
  const named = reference === "latest" ? undefined : reference;
  const given = [
    ...(named === undefined ? [] : [`the backup ${named}`]),
    // The latest there was then is what a time alone means, too.
    ...(isLatest && timestamp === undefined ? ["--latest"] : []),
    ...(timestamp === undefined ? [] : ["--timestamp"]),
  ];
  const saysWhat = wanted.type !== undefined || wanted.component.length > 0 || wanted.source.length > 0;
  if (given.length === 0 && !saysWhat) {
    throw new BackupctlError("USAGE", "restore needs to know which backup", {
      hint: "See `backupctl list`, then give an id, --latest, or --timestamp TIME; --dry-run shows the plan.",
    });
  }
  if (given.length > 1) {
    throw new BackupctlError("USAGE", `restore takes one of ${given.join(" and ")}`, { hint: "Leave the others out." });
  }
  if (timestamp !== undefined) parseInstant(timestamp);
  else if (wanted.maxGap !== undefined) {
    throw new BackupctlError("USAGE", "--max-gap needs --timestamp", {
      hint: "Add --timestamp TIME: the gap is how much older than that the backup is.",
    });
  }
  return { reference: named, latest: isLatest || given.length === 0, timestamp };
}

function checkPlace({ to, target, delete: remove, overwrite }: RestoreRequest): void {
  if (to !== undefined && target !== undefined) {
    throw new BackupctlError("USAGE", "--to and --target contradict each other", { hint: "Leave one of them out." });
  }
  if (remove && !overwrite) {
    throw new BackupctlError("USAGE", "--delete needs --overwrite", {
      hint: "Add --overwrite; --dry-run counts what would go.",
    });
  }
}

/** One source as one file, as `download` writes it: nothing is replaced, so there is nothing to plan. @throws `USAGE` */
function toStandardOutput(context: Context, request: RestoreRequest, dryRun: boolean): Promise<number> {
  const { reference = "latest", components, sources, include, exclude, allowUnencrypted } = request;
  const { type, timestamp, overwrite, dropExisting, skipDamaged } = request;
  const [unfit] = Object.entries({ type, timestamp, overwrite, dropExisting, skipDamaged, dryRun })
    .filter(([, value]) => value !== undefined && value !== false)
    .map(([name]) => `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`);
  if (unfit !== undefined) {
    throw new BackupctlError("USAGE", `${unfit} has no meaning where one source goes to standard output (--to -)`, {
      hint: "Leave it out, or give a folder: --to ./-/ is one named `-`.",
    });
  }
  const chosenParts = { components, sources, include, exclude, allowUnencrypted };
  return writeFiles(context, { ...chosenParts, reference, to: undefined, overwrite: false });
}

function showPlan({ output, look, json }: Context, plan: RestorePlan): number {
  if (json) output.printJson({ dry_run: true, ...restorePlanJson(plan) });
  else output.print(`${renderRestorePlan(look, plan)}\n\nNothing was restored (--dry-run).`);
  return 0;
}

interface Decision {
  readonly plan: RestorePlan;
  readonly yes: boolean;
}

async function apply(context: Context, request: RestoreRequest, decision: Decision): Promise<number> {
  const { output, look, noteLook, json } = context;
  const { plan } = decision;
  const warn = (warnings: readonly string[]): void => {
    if (!json) for (const warning of warnings) output.warn(noteLook.show(warning));
  };
  // The first refusal is the error that ends it.
  output.note(`${renderRestorePlan(noteLook, { ...plan, refusals: plan.refusals.slice(1), warnings: [] })}\n`);
  warn(plan.warnings);
  refuse(plan);
  await acceptGap(context, plan);
  await askForPlace(context, request, decision);
  const operations = await context.operations("rescue");
  const result = await context.withProgress((onProgress) => operations.restore({ ...request, onProgress }, plan));
  if (json) output.printJson(restoreJson(result, plan));
  else {
    output.report(renderRestoreResult(look, result));
    for (const problem of restoreProblems(noteLook, result)) output.warn(problem);
  }
  warn(result.warnings.filter((warning) => !plan.warnings.includes(warning)));
  return { completed: 0, failed: 1, partial: 3, check_failed: 4 }[restoreOutcome(result)];
}

function refuse({ refusals }: RestorePlan): void {
  const [first, ...others] = refusals;
  if (first === undefined) return;
  const more = others.length === 0 ? "" : ` (and ${others.length} more)`;
  throw new BackupctlError(first.code, first.message + more, { hint: first.hint, data: { refusals } });
}

/** A restore to another point in time than the one asked for is accepted by a person, or by a larger `--max-gap`; never by `--yes`. */
async function acceptGap(context: Context, { gap, backup }: RestorePlan): Promise<void> {
  if (gap === undefined || !gap.exceeds) return;
  const older = formatSeconds(gap.seconds);
  const hint = `Accept it with --max-gap ${atLeast(gap.seconds)}; --yes does not.`;
  const what = `a restore to ${backup.timestamp}, ${older} before ${gap.asked}`;
  if (!context.interactive) throw new BackupctlError("NOT_CONFIRMED", `not confirmed: ${what}`, { hint });
  const question = `The nearest backup is ${older} older than ${gap.asked}. Restore that one?`;
  if (!(await context.prompts.confirm(question))) {
    throw new BackupctlError("NOT_CONFIRMED", `not confirmed: ${what}`, { hint });
  }
}

/** The shortest duration in whole units that is as long. */
function atLeast(seconds: number): string {
  const minutes = Math.ceil(seconds / 60);
  if (minutes < 1000) return `${minutes}m`;
  return minutes < 60_000 ? `${Math.ceil(minutes / 60)}h` : `${Math.ceil(minutes / 1440)}d`;
}

/** Restoring to an empty folder needs no yes. Where something is replaced in place or dropped, the place's name is typed. */
async function askForPlace(context: Context, request: RestoreRequest, { plan, yes }: Decision): Promise<void> {
  const touches = plan.sources.some((source) => source.exists || source.overwrites.length > 0 || source.deletes > 0);
  if (!plan.inPlace && request.target === undefined && !request.dropExisting && !touches) return;
  const { config } = await context.config("rescue");
  const name = request.target ?? request.to ?? config.name;
  const typed = touches && (plan.inPlace || request.dropExisting) ? name : undefined;
  const place = plan.inPlace ? `its own place on ${name}` : name;
  await requireConsent(context, {
    given: yes,
    what: `a restore to ${place}`,
    question:
      typed === undefined
        ? `Restore to ${place}?`
        : `This replaces what is there. Type ${typed} to restore to ${place}:`,
    typed,
  });
}
