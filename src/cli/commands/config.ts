import { count } from "../../domain/count.ts";
import { defineCommand } from "../command.ts";

export const configValidate = defineCommand({
  name: "config validate",
  group: "Set-up",
  summary: "check the configuration, with every problem at once",
  description: ["Unknown names are refused with the nearest known one, the path and the line."],
  options: {},
  examples: [{ command: "backupctl config validate -c ./backup.config.yaml", text: "Before it goes to production" }],
  exitCodes: { 0: "the configuration is right", 2: "it is not, or there is none" },
  run: async ({ operations, output, look, json }) => {
    const report = await (await operations("strict")).validateConfig();
    const { origin, sources, storages, warnings } = report;
    if (json) output.printJson({ valid: true, origin, sources, storages, warnings });
    else output.report(look.line`${origin} is right: ${count(sources, "source")}, ${count(storages, "storage")}`);
    return 0;
  },
});

export const configShow = defineCommand({
  name: "config show",
  group: "Set-up",
  summary: "the configuration with every default, secrets as ***",
  description: [
    "Shows what the program goes by, also where the configuration has mistakes that a restore can live with.",
  ],
  options: {},
  examples: [{ command: "backupctl config show --json", text: "For a script" }],
  exitCodes: {},
  run: async ({ config, output, look, json }) => {
    const loaded = await config("rescue");
    if (json) output.printJson({ origin: loaded.origin, config: loaded.shown() });
    else {
      const { stringify } = await import("yaml");
      const lines = stringify(loaded.shown()).trimEnd().split("\n");
      output.print([look.line`# ${loaded.origin}`, ...lines.map((line) => look.show(line))].join("\n"));
    }
    return 0;
  },
});

export const configSchema = defineCommand({
  name: "config schema",
  group: "Set-up",
  summary: "the JSON Schema of the configuration, for editors",
  description: ["Always JSON. Editors with a YAML language server take it by a comment in the file's first line."],
  options: {},
  examples: [
    {
      command: "backupctl config schema > backup.schema.json",
      text: "Then, as the config's first line:\n  # yaml-language-server: $schema=backup.schema.json",
    },
  ],
  exitCodes: {},
  run: async ({ output }) => {
    const { configJsonSchema } = await import("../../config/json-schema.ts");
    output.printJson(await configJsonSchema());
    return 0;
  },
});
