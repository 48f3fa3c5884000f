import type { Command } from "../src/cli/command.ts";
import { COMMANDS } from "../src/cli/commands/all.ts";
import { EXIT_STATUSES, exitStatusesOf } from "../src/cli/exit-statuses.ts";
import { GLOBAL_OPTIONS } from "../src/cli/global-options.ts";
import { optionSpelling, usageOf, visibleOptions } from "../src/cli/help.ts";
import type { Options } from "../src/cli/option.ts";
import { EXIT_CODES } from "../src/errors.ts";

/** The document with every `<!-- begin NAME -->` … `<!-- end NAME -->` filled in anew from the commands and the error codes. */
export function withGeneratedParts(document: string): string {
  return document.replace(
    /(<!-- begin (\S+) -->\n)[\s\S]*?(<!-- end \2 -->)/g,
    (_, begin: string, name: string, end: string) => `${begin}\n${generated(name)}\n\n${end}`,
  );
}

function generated(name: string): string {
  const part = PARTS[name];
  if (part === undefined) throw new Error(`docs/cli.md asks for an unknown part: ${name}`);
  return part();
}

const PARTS: Readonly<Record<string, () => string>> = {
  commands: () => COMMANDS.map(commandSection).join("\n\n"),
  "global-options": () => optionTable(GLOBAL_OPTIONS),
  "exit-statuses": () =>
    table(
      ["Status", "Meaning", "Error codes"],
      Object.entries(EXIT_STATUSES).map(([code, meaning]) => [code, meaning, codesOf(Number(code))]),
    ),
};

function codesOf(status: number): string {
  const codes = Object.entries(EXIT_CODES).filter(([, code]) => code === status);
  return codes.map(([name]) => `\`${name}\``).join(" ");
}

function commandSection(command: Command): string {
  const { name, summary, description, argument, options, examples, exitCodes } = command;
  const parts = [`### ${name}`, `${sentence(summary)}`, `\`\`\`\n${usageOf(command)}\n\`\`\``, ...description];
  if (argument !== undefined) parts.push(`\`${argument.placeholder}\`: ${argument.description}.`);
  if (visibleOptions(options).length > 0) parts.push(optionTable(options));
  const lines = examples.map(({ command: line, text }) => `# ${text.replace(/\n\s*/g, "\n# ")}\n${line}`);
  parts.push(`\`\`\`sh\n${lines.join("\n")}\n\`\`\``);
  const statuses = exitStatusesOf(exitCodes).map(([code, meaning]) => [String(code), meaning]);
  return [...parts, table(["Status", "Meaning"], statuses)].join("\n\n");
}

function sentence(text: string): string {
  return `${text.charAt(0).toUpperCase()}${text.slice(1)}.`;
}

function optionTable(options: Options): string {
  return table(
    ["Option", "Meaning"],
    visibleOptions(options).map(([key, option]) => [`\`${optionSpelling(key, option)}\``, option.description]),
  );
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`.replace(/ +\|$/, " |");
  return [line(head), line(head.map(() => "---")), ...rows.map(line)].join("\n");
}
