import { count } from "../../domain/count.ts";
import { defineCommand } from "../command.ts";
import { rebuildJson } from "../render/json.ts";
import { formatSeconds } from "../render/look.ts";

export const catalogRebuild = defineCommand({
  name: "catalog rebuild",
  group: "Upkeep",
  summary: "make the local catalog anew from the storages",
  description: [
    "The catalog is only a cache: this reads the metadata of every backup, never its data, and brings back holds, verifications and proofs. Without the key the backups are listed as unverified.",
  ],
  options: {},
  examples: [{ command: "backupctl catalog rebuild", text: "On a new machine, or when the catalog was lost" }],
  exitCodes: { 4: "the metadata of some backups is damaged; the others are listed" },
  run: async ({ operations, output, look, noteLook, json }) => {
    const result = await (await operations("rescue")).rebuildCatalog();
    if (json) output.printJson(rebuildJson(result));
    else {
      output.report(
        `found ${count(result.found, "backup")} in ${formatSeconds(result.seconds)}: ${result.unverified} unverified, ${result.unfinished} unfinished`,
      );
      for (const problem of result.damaged) output.warn(noteLook.line`${problem}`);
      if (result.unverified > 0)
        output.note(look.line`Unverified: no configured key proves them; \`backupctl verify ID\` says why.`);
    }
    return result.damaged.length > 0 ? 4 : 0;
  },
});
