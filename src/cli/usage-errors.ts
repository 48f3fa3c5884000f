import { nearest } from "../config/nearest.ts";
import { BackupctlError } from "../errors.ts";
import type { Command } from "./command.ts";
import { commandOf } from "./command-words.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { visibleOptions } from "./help.ts";
import { LATER_COMMANDS } from "./later-commands.ts";
import { flagOf } from "./option.ts";

export function unknownCommandError(word: string, commands: readonly Command[]): BackupctlError {
  const known = [...new Set(commands.flatMap(({ name }) => [name, name.split(" ")[0] ?? name]))];
  const near = nearest(word, known);
  return new BackupctlError("USAGE", `there is no command "${word}"`, {
    hint: near === undefined ? "See `backupctl help`." : `Did you mean \`backupctl ${near}\`?`,
  });
}

export function laterCommandError(name: string): BackupctlError {
  return new BackupctlError("USAGE", `the command "${name}" does not exist yet`, {
    hint: LATER_COMMANDS[name] ?? "See `backupctl help`.",
  });
}

/** commander's complaints in this program's words. `argv` says which command they are about. */
export function usageError(
  problem: { readonly code: string; readonly message: string },
  argv: readonly string[],
  commands: readonly Command[],
): BackupctlError {
  const command = commandOf(argv, commands);
  const help = `See \`backupctl ${command === undefined ? "help" : `${command.name} --help`}\`.`;
  const quoted = /'([^']*)'/.exec(problem.message)?.[1] ?? "";
  if (problem.code === "commander.unknownOption") return unknownOption(quoted, command, help);
  if (problem.code === "commander.optionMissingArgument") {
    const flag = /--[a-z-]+/.exec(quoted)?.[0] ?? quoted;
    return new BackupctlError("USAGE", `${flag} has no value`, { hint: help });
  }
  if (problem.code === "commander.excessArguments") {
    const taken = command?.argument === undefined ? "no argument" : `one argument, ${command.argument.placeholder}`;
    return new BackupctlError("USAGE", `${command?.name ?? "backupctl"} takes ${taken}: there are more`, {
      hint: help,
    });
  }
  return new BackupctlError("USAGE", problem.message.replace(/^error: /, ""), { hint: help });
}

function unknownOption(written: string, command: Command | undefined, help: string): BackupctlError {
  const options = visibleOptions({ ...command?.options, ...GLOBAL_OPTIONS });
  const flags = options.flatMap(([key, { kind }]) =>
    kind === "negatable" || kind === "optional" ? [flagOf(key), `--no-${flagOf(key).slice(2)}`] : [flagOf(key)],
  );
  const near = written.startsWith("--") ? nearest(written, [...flags, "--help"]) : undefined;
  const of = command === undefined ? "backupctl" : command.name;
  return new BackupctlError("USAGE", `${of} has no option ${written}`, {
    hint: near === undefined ? help : `Did you mean ${near}? ${help}`,
  });
}
