import { defineCommand } from "../command.ts";
import { commandHelp, groupHelp, mainHelp } from "../help.ts";
import { LATER_COMMANDS } from "../later-commands.ts";
import { laterCommandError, unknownCommandError } from "../usage-errors.ts";

export const help = defineCommand({
  name: "help",
  group: "Set-up",
  summary: "this text, or the help of one command",
  description: ["The same as `backupctl COMMAND --help`."],
  argument: {
    placeholder: "COMMAND",
    description: "the command, e.g. restore or config show",
    required: false,
    variadic: true,
  },
  options: {},
  examples: [{ command: "backupctl help restore", text: "All about restoring" }],
  exitCodes: {},
  json: false,
  run: async ({ output, commands }, _values, operands) => {
    const name = operands.join(" ");
    const command = commands.find((candidate) => candidate.name === name);
    if (name === "") output.print(mainHelp(commands).trimEnd());
    else if (command !== undefined) output.print(commandHelp(command).trimEnd());
    else if (commands.some((candidate) => candidate.name.startsWith(`${name} `)))
      output.print(groupHelp(name, commands).trimEnd());
    else if (Object.hasOwn(LATER_COMMANDS, name)) throw laterCommandError(name);
    else throw unknownCommandError(name, commands);
    return 0;
  },
});
