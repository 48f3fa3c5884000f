import { BACKUP_ARGUMENT, defineCommand, onlyOperand } from "../command.ts";
import { detailsJson } from "../render/json.ts";
import { renderDetails } from "../render/show.ts";

export const show = defineCommand({
  name: "show",
  group: "Daily",
  summary: "everything that is known of one backup",
  description: ["What it holds, where it lies, how it was checked, what it is built on and what needs it."],
  argument: BACKUP_ARGUMENT,
  options: {},
  examples: [
    { command: "backupctl show latest", text: "The newest good backup" },
    { command: "backupctl show 550e8400 --json", text: "One by the beginning of its id, for a script" },
  ],
  exitCodes: { 10: "there is no such backup" },
  run: async ({ operations, output, look, json }, _values, operands) => {
    const details = await (await operations("rescue")).show(onlyOperand(operands));
    if (json) output.printJson(detailsJson(details));
    else output.print(await renderDetails(look, details));
    return 0;
  },
});
