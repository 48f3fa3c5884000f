import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { withName } from "../../domain/storage-messages.ts";
import type { DeletePlan, DeleteResult } from "../../operations/operations.ts";
import { backupTable } from "./backups.ts";
import { bad, caution, type Look } from "./look.ts";

export async function renderDeletePlan(look: Look, plan: DeletePlan): Promise<string> {
  const { backups, protections, bytesFreed, locked, unasked } = plan;
  const table = await backupTable({ ...look, columns: look.columns - 2 }, backups);
  const against = protections.map(({ backupId, text, forcible }) => {
    const lift = forcible ? caution("needs --force --reason") : bad("cannot be forced");
    return look.line`  ${look.id(backupId)} ${text} (${lift})`;
  });
  return [
    look.line`deletes ${count(backups.length, "backup")}, frees about ${formatBytes(bytesFreed)}`,
    table.replace(/^/gm, "  "),
    ...against,
    ...locked.map((each) => look.line`  ${lockedText(look, each)}`),
    ...unasked.map(
      ({ storage, message }) =>
        look.line`  ${caution("not known whether anything is locked")}: ${withName(storage, message)}`,
    ),
  ].join("\n");
}

export function renderDeletion(look: Look, { deleted, bytesFreed, locked }: DeleteResult): string {
  const stays = locked.map((each) => lockedText(look, each));
  return [`deleted ${count(deleted.length, "backup")}, ${formatBytes(bytesFreed)} freed`, ...stays].join("\n");
}

function lockedText(look: Look, { storage, bytes, until }: DeletePlan["locked"][number]): string {
  return look.line`${storage}: ${formatBytes(bytes)} stay as old versions, locked until ${look.time(until.toISOString())}, and are paid for until they are removed after that`;
}
