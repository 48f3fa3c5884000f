import { count } from "../../domain/count.ts";
import { refusalOf } from "../../domain/deletion.ts";
import { BackupctlError } from "../../errors.ts";
import type { DeletePlan, DeleteRequest } from "../../operations/operations.ts";
import { BACKUP_ARGUMENT, defineCommand, onlyOperand } from "../command.ts";
import type { Context } from "../context.ts";
import { DRY_RUN, LOCK_WAIT, YES } from "../global-options.ts";
import { duration, flag, text } from "../option.ts";
import { requireConsent } from "../prompts/consent.ts";
import { renderDeletePlan, renderDeletion } from "../render/deletion.ts";
import { deleteJson, deletePlanJson } from "../render/json.ts";

export const deleteBackup = defineCommand({
  name: "delete",
  group: "Upkeep",
  summary: "delete a backup, unless something protects it",
  description: [
    "Lists what would go, asks, and deletes it from every storage. Retention, a hold, and being the last good backup protect a backup; --force with --reason lifts those. A backup that others are built on is never deleted without them.",
  ],
  argument: BACKUP_ARGUMENT,
  options: {
    withDescendants: flag("also delete every backup that is built on it"),
    force: flag("in spite of retention, a hold, or being the last good one"),
    reason: text("TEXT", "why, for the log; --force demands it"),
    lockWait: duration(LOCK_WAIT.placeholder, LOCK_WAIT.description),
    yes: YES,
    dryRun: DRY_RUN,
  },
  examples: [
    { command: "backupctl delete 550e8400 --dry-run", text: "What would go" },
    { command: "backupctl delete 550e8400 --with-descendants", text: "A whole branch" },
    { command: 'backupctl delete 550e8400 --force --reason "holds data we must forget"', text: "Before its time" },
  ],
  exitCodes: {
    10: "there is no such backup",
    11: "the backup is being made, or another run holds the lock",
    14: "retention, a hold, the last good backup, or another backup stands against it",
  },
  run: async (context, values, operands) => {
    if (values.force && values.reason === undefined) {
      throw new BackupctlError("USAGE", "--force needs --reason", {
        hint: 'Say why: --force --reason "TEXT". It stays in the log.',
      });
    }
    const request: DeleteRequest = {
      reference: onlyOperand(operands),
      withDescendants: values.withDescendants,
      force: values.force,
      reason: values.reason,
      lockWaitMs: values.lockWait ?? 0,
    };
    const plan = await (await context.operations("strict")).planDelete(request);
    if (!values.dryRun) return apply(context, request, { plan, yes: values.yes });
    if (context.json) context.output.printJson(deletePlanJson(plan));
    else context.output.print(`${await renderDeletePlan(context.look, plan)}\n\nNothing was deleted (--dry-run).`);
    return 0;
  },
});

async function apply(
  context: Context,
  request: DeleteRequest,
  { plan, yes }: { readonly plan: DeletePlan; readonly yes: boolean },
): Promise<number> {
  const { output, look, noteLook, json } = context;
  output.note(await renderDeletePlan(noteLook, plan));
  const refusal = refusalOf({ deletions: [], protections: plan.protections }, { force: request.force });
  if (refusal !== undefined) throw refusal;
  const what = count(plan.backups.length, "backup");
  await requireConsent(context, { given: yes, what: `deletion of ${what}`, question: `Delete ${what} for good?` });
  const result = await (await context.operations("strict")).delete(request, plan);
  if (json) output.printJson(deleteJson(result));
  else output.report(renderDeletion(look, result));
  return 0;
}
