import { BackupctlError } from "../../errors.ts";
import { BACKUP_ARGUMENT, defineCommand, onlyOperand } from "../command.ts";
import { text } from "../option.ts";
import { summaryJson } from "../render/json.ts";

export const hold = defineCommand({
  name: "hold",
  group: "Upkeep",
  summary: "protect a backup from retention and deletion",
  description: ["The hold lies beside the backup in every storage, so it survives the loss of this machine."],
  argument: BACKUP_ARGUMENT,
  options: { reason: text("TEXT", "why (demanded)") },
  examples: [{ command: 'backupctl hold 550e8400 --reason "legal case 17"', text: "Until `backupctl unhold`" }],
  exitCodes: { 10: "there is no such backup" },
  run: async ({ operations, output, look, json }, { reason }, operands) => {
    if (reason === undefined) {
      throw new BackupctlError("USAGE", "hold needs --reason", { hint: 'Say why: --reason "TEXT".' });
    }
    const backup = await (await operations("strict")).hold(onlyOperand(operands), reason);
    if (json) output.printJson(summaryJson(backup));
    else output.report(look.line`backup ${backup.id} is on hold: ${reason}`);
    return 0;
  },
});

export const unhold = defineCommand({
  name: "unhold",
  group: "Upkeep",
  summary: "end a hold",
  description: ["From then on retention decides again; nothing is deleted by this."],
  argument: BACKUP_ARGUMENT,
  options: {},
  examples: [{ command: "backupctl unhold 550e8400", text: "Let retention decide again" }],
  exitCodes: { 10: "there is no such backup" },
  run: async ({ operations, output, look, json }, _values, operands) => {
    const backup = await (await operations("strict")).unhold(onlyOperand(operands));
    if (json) output.printJson(summaryJson(backup));
    else output.report(look.line`backup ${backup.id} is no longer on hold`);
    return 0;
  },
});
