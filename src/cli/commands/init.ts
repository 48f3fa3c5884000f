import type { InitResult } from "../../operations/operations.ts";
import { defineCommand } from "../command.ts";
import { text } from "../option.ts";
import { renderFields } from "../render/fields.ts";
import { initJson } from "../render/json.ts";
import { caution, type Look } from "../render/look.ts";

export const init = defineCommand({
  name: "init",
  group: "Set-up",
  summary: "write a configuration, make a key, prepare the storages",
  description: [
    "Writes a commented configuration and a key file where there is none, and marks the storages as this repository's. What exists is left as it is, so it can be run again. Of several storages none is prepared while one is away: it may hold the repository that the others are to belong to.",
    "Keep a copy of the key away from this machine: without it no backup can be read.",
  ],
  options: { storagePath: text("DIR", "where the new configuration stores backups", { path: true }) },
  examples: [
    { command: "backupctl init", text: "In the working directory" },
    {
      command: "backupctl init -c /etc/backupctl/config.yaml --storage-path /var/backups/site",
      text: "For the whole machine",
    },
  ],
  exitCodes: { 12: "the encryption key is missing or wrong" },
  run: async (context, { storagePath }) => {
    const { output, look, json } = context;
    const result = await (await context.operations("none")).init({ configPath: context.configPath, storagePath });
    if (json) output.printJson(initJson(result));
    else output.report(renderInit(look, result));
    return 0;
  },
});

function renderInit(look: Look, result: InitResult): string {
  const made = (written: boolean): string => (written ? "written" : "was there, left as it is");
  const storages = result.storages.map(
    ({ name, address, created }) =>
      [`storage ${name}`, `${address}: ${created ? "prepared" : "was prepared before"}`] as const,
  );
  const { configPath, keyPath } = result;
  const fields = renderFields(look, [
    ["config", configPath === undefined ? "from the environment" : `${configPath}: ${made(result.configWritten)}`],
    ["key", keyPath === undefined ? undefined : `${keyPath}: ${made(result.keyWritten)}`],
    ...storages,
  ]);
  const keep = look.show(caution("Copy the key to a safe place now: without it no backup can be read."));
  const steps = "Next: look through the config, then `backupctl config validate` and `backupctl create`.";
  return [fields, ...(result.keyWritten ? [keep] : []), steps].join("\n\n");
}
