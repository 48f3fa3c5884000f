import { type Command, GROUPS } from "./command.ts";
import { exitStatusesOf } from "./exit-statuses.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { flagOf, type Option, type Options } from "./option.ts";
import { wrap } from "./render/width.ts";

const COLUMNS = 80;
const LEFT_COLUMNS = 28;

export function mainHelp(commands: readonly Command[]): string {
  const groups = GROUPS.map((group) => {
    const members = commands.filter((command) => command.group === group);
    return `${group}\n${members.map(({ name, summary }) => row(name, summary, 20)).join("\n")}`;
  });
  return `${[
    "Encrypted, verified backups of databases, files and configuration,\nand every way back from them.",
    "Usage: backupctl COMMAND [OPTIONS]",
    ...groups,
    `Options of every command\n${optionRows(GLOBAL_OPTIONS)}`,
    [
      "First time:        backupctl init, then backupctl create",
      "Something is lost: backupctl list, then backupctl restore --latest --to DIR",
      "More:              backupctl help COMMAND",
    ].join("\n"),
  ].join("\n\n")}\n`;
}

export function groupHelp(name: string, commands: readonly Command[]): string {
  const members = commands.filter((command) => command.name.startsWith(`${name} `));
  return `Usage: backupctl ${name} COMMAND\n\n${members.map((each) => row(each.name, each.summary, 20)).join("\n")}\n`;
}

export function commandHelp(command: Command): string {
  const { name, summary, description, argument, options, examples, exitCodes } = command;
  const sections = [
    `backupctl ${name}: ${summary}`,
    `Usage: ${usageOf(command)}`,
    ...description.map((paragraph) => wrap(paragraph, COLUMNS)),
  ];
  if (argument !== undefined) sections.push(`Argument\n${row(argument.placeholder, argument.description)}`);
  const own = optionRows(options);
  if (own !== "") sections.push(`Options\n${own}`);
  sections.push(`Options of every command\n${optionRows(GLOBAL_OPTIONS)}`);
  const shown = examples.map(({ command: line, text }) => `  ${text}\n    $ ${line}`);
  if (shown.length > 0) sections.push(`Examples\n${shown.join("\n")}`);
  sections.push(`Exit status\n${exitStatusesOf(exitCodes).map(statusRow).join("\n")}`);
  return `${sections.join("\n\n")}\n`;
}

export function usageOf({ name, argument, options }: Command): string {
  const operand =
    argument === undefined ? "" : ` ${argument.required ? argument.placeholder : `[${argument.placeholder}]`}`;
  const visible = Object.values(options).some((option) => option.hidden !== true);
  return `backupctl ${name}${operand}${visible ? " [OPTIONS]" : ""}`;
}

/** `-c, --config PATH`, `--[no-]encrypt`, `--verify[=full]`. */
export function optionSpelling(key: string, option: Option<unknown>): string {
  const { kind, short, placeholder } = option;
  const long = kind === "negatable" || kind === "optional" ? flagOf(key).replace("--", "--[no-]") : flagOf(key);
  const value = kind === "optional" ? ` [${placeholder}]` : ` ${placeholder}`;
  return `${short === undefined ? "" : `-${short}, `}${long}${placeholder === undefined ? "" : value}`;
}

export function visibleOptions(options: Options): readonly (readonly [key: string, option: Option<unknown>])[] {
  return Object.entries(options).filter(([, option]) => option.hidden !== true);
}

function optionRows(options: Options): string {
  return visibleOptions(options)
    .map(([key, option]) => row(aligned(key, option), option.description))
    .join("\n");
}

/** Long flags stand below each other whether they have a short form or not. */
function aligned(key: string, option: Option<unknown>): string {
  return (option.short === undefined ? "    " : "") + optionSpelling(key, option);
}

function row(left: string, text: string, width: number = LEFT_COLUMNS): string {
  const wrapped = wrap(text, COLUMNS - width - 4)
    .split("\n")
    .join(`\n${" ".repeat(width + 4)}`);
  return left.length > width ? `  ${left}\n${" ".repeat(width + 4)}${wrapped}` : `  ${left.padEnd(width)}  ${wrapped}`;
}

function statusRow([code, meaning]: readonly [number, string]): string {
  return `  ${String(code).padStart(3)}  ${wrap(meaning, COLUMNS - 7)
    .split("\n")
    .join(`\n${" ".repeat(7)}`)}`;
}
