import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import type { DeletePlan, DeleteResult } from "../../operations/operations.ts";
import { backupTable } from "./backups.ts";
import { bad, caution, type Look } from "./look.ts";

export async function renderDeletePlan(look: Look, { backups, protections, bytesFreed }: DeletePlan): Promise<string> {
  const table = await backupTable({ ...look, columns: look.columns - 2 }, backups);
  const against = protections.map(({ backupId, text, forcible }) => {
    const lift = forcible ? caution("needs --force --reason") : bad("cannot be forced");
    return look.line`  ${look.id(backupId)} ${text} (${lift})`;
  });
  return [
    look.line`deletes ${count(backups.length, "backup")}, frees about ${formatBytes(bytesFreed)}`,
    table.replace(/^/gm, "  "),
    ...against,
  ].join("\n");
}

export function renderDeletion(look: Look, { deleted, bytesFreed, locked }: DeleteResult): string {
  const stays = locked.map(
    ({ storage, bytes, until }) =>
      look.line`${storage}: ${formatBytes(bytes)} stay as old versions, locked until ${look.time(until.toISOString())}, and are paid for until they are removed after that`,
  );
  return [`deleted ${count(deleted.length, "backup")}, ${formatBytes(bytesFreed)} freed`, ...stays].join("\n");
}
