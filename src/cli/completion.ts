import type { Command } from "./command.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { visibleOptions } from "./help.ts";
import { flagOf, type Option } from "./option.ts";

export const SHELLS = ["bash", "zsh", "fish"] as const;
type Shell = (typeof SHELLS)[number];

/** A script that completes commands, options and fixed words; made from the commands, so it can't lag behind them. */
export function completionScript(shell: Shell, commands: readonly Command[]): string {
  return { bash: bashScript, zsh: zshScript, fish: fishScript }[shell](commands);
}

interface Flag {
  readonly flag: string;
  readonly option: Option<unknown>;
  readonly takesValue: boolean;
}

function flagsOf({ options }: Pick<Command, "options">): readonly Flag[] {
  return visibleOptions({ ...options, ...GLOBAL_OPTIONS }).flatMap(([key, option]) => {
    const flag = flagOf(key);
    const yes: Flag = { flag, option, takesValue: option.kind === "value" };
    const canBeNegated = option.kind === "negatable" || option.kind === "optional";
    return canBeNegated ? [yes, { flag: `--no-${flag.slice(2)}`, option, takesValue: false }] : [yes];
  });
}

/** First words with the second words they may have. */
function wordsOf(commands: readonly Command[]): ReadonlyMap<string, readonly Command[]> {
  return Map.groupBy(commands, ({ name }) => name.split(" ")[0] ?? name);
}

function operandsOf(commands: readonly Command[], { name, argument }: Command): readonly string[] {
  return name === "help" ? [...wordsOf(commands).keys()] : (argument?.choices ?? []);
}

function bashScript(commands: readonly Command[]): string {
  const cases = commands.map((command) => {
    const words = [...operandsOf(commands, command), ...flagsOf(command).map(({ flag }) => flag), "--help"];
    return `    ${quoted(command.name)}) words=${quoted(words.join(" "))} ;;`;
  });
  const groups = [...wordsOf(commands)].flatMap(([word, members]) => {
    const seconds = members.flatMap(({ name }) => name.split(" ").slice(1));
    return seconds.length === 0 ? [] : [`    ${word}) words=${quoted(seconds.join(" "))} ;;`];
  });
  const values = valueCases(commands).map(
    ({ command, flags, choices }) => `    ${quoted(command)}:${flags}) words=${quoted(choices.join(" "))} ;;`,
  );
  return `# bash completion for backupctl
_backupctl() {
  local current=\${COMP_WORDS[COMP_CWORD]} previous=\${COMP_WORDS[COMP_CWORD-1]} command= word words= value= IFS=$' \\t\\n'
  for word in "\${COMP_WORDS[@]:1:COMP_CWORD-1}"; do
    if [ -n "$value" ]; then value=; continue; fi
    case $word in
      ${globalsWithValue()}) value=1 ;;
      -*) ;;
      *) command="\${command:+$command }$word"; case $command in ${groupPattern(commands)}) ;; *) break ;; esac ;;
    esac
  done
  COMPREPLY=()
  case $previous in
    ${pathFlags(commands).join("|")}) compopt -o filenames 2>/dev/null; IFS=$'\\n'; COMPREPLY=($(compgen -f -- "$current")); return ;;
  esac
  case "$command:$previous" in
${values.join("\n")}
    *) case $command in
    '') words=${quoted([...wordsOf(commands).keys(), "--help", "--version"].join(" "))} ;;
${groups.join("\n")}
${cases.join("\n")}
    esac ;;
  esac
  COMPREPLY=($(compgen -W "$words" -- "$current"))
}
complete -o default -F _backupctl backupctl
`;
}

/** Options before the command that are followed by a value, which is not the command. */
function globalsWithValue(): string {
  const flags = flagsOf({ options: {} }).filter(({ takesValue }) => takesValue);
  return flags
    .flatMap(({ flag, option }) => (option.short === undefined ? [flag] : [flag, `-${option.short}`]))
    .join("|");
}

function valueCases(commands: readonly Command[]) {
  return commands.flatMap((command) =>
    flagsOf(command)
      .filter(({ takesValue, option }) => takesValue && option.choices !== undefined)
      .map(({ flag, option }) => ({ command: command.name, flags: flag, choices: option.choices ?? [] })),
  );
}

function pathFlags(commands: readonly Command[]): readonly string[] {
  const flags = commands.flatMap(flagsOf).filter(({ option }) => option.path === true);
  return [...new Set(["-c", ...flags.map(({ flag }) => flag)])];
}

/** First words that a second one follows: the search for the command's name goes on after them. */
function groupPattern(commands: readonly Command[]): string {
  return [...new Set(commands.filter(({ name }) => name.includes(" ")).map(({ name }) => name.split(" ")[0]))].join(
    "|",
  );
}

function zshScript(commands: readonly Command[]): string {
  const firsts = [...wordsOf(commands)].map(
    ([word, members]) => `    ${quoted(`${word}:${zshWord(members[0]?.summary ?? "")}`)}`,
  );
  const cases = commands.map((command) => {
    const specs = flagsOf(command).map(zshSpec);
    const operands = operandsOf(commands, command);
    const operand =
      operands.length === 0 ? [] : [quoted(`*:${command.argument?.placeholder ?? ""}:(${operands.join(" ")})`)];
    return `    ${quoted(command.name)}) _arguments ${[...specs, ...operand].join(" \\\n      ")} ;;`;
  });
  const groups = [...wordsOf(commands)].flatMap(([word, members]) => {
    const seconds = members.flatMap(({ name }) => name.split(" ").slice(1));
    return seconds.length === 0 ? [] : [`    ${word}) compadd ${seconds.join(" ")} ;;`];
  });
  return `#compdef backupctl
_backupctl() {
  local -a commands
  while (( CURRENT > 2 )) && [[ $words[2] == -* ]]; do
    case $words[2] in ${globalsWithValue()}) (( CURRENT == 3 )) && { _files; return }; words[2]=(); (( CURRENT-- )) ;; esac
    words[2]=(); (( CURRENT-- ))
  done
  local name=$words[2]
  commands=(
${firsts.join("\n")}
  )
  if (( CURRENT == 2 )); then _describe command commands; return; fi
  case $name in ${groupPattern(commands)}) (( CURRENT > 3 )) && { name="$name $words[3]"; shift words; (( CURRENT-- )) } ;; esac
  shift words; (( CURRENT-- ))
  case $name in
${[...groups, ...cases].join("\n")}
  esac
}
_backupctl "$@"
`;
}

function zshSpec({ flag, option, takesValue }: Flag): string {
  const described = `${flag}[${zshWord(option.description)}]`;
  if (!takesValue) return quoted(described);
  const values = option.choices === undefined ? "" : `(${option.choices.join(" ")})`;
  return quoted(`*${described}:${zshWord(option.placeholder ?? "")}:${option.path === true ? "_files" : values}`);
}

function zshWord(text: string): string {
  return text.replace(/[[\]:]/g, (character) => `\\${character}`);
}

function fishScript(commands: readonly Command[]): string {
  // fish's own __fish_use_subcommand takes the value of an option before the command for the command.
  const noneYet = quoted(`not __fish_seen_subcommand_from ${[...wordsOf(commands).keys()].join(" ")}`);
  const lines = [...wordsOf(commands)].map(
    ([word, members]) => `complete -c backupctl -n ${noneYet} -f -a ${word} -d ${quoted(members[0]?.summary ?? "")}`,
  );
  for (const flag of flagsOf({ options: {} })) lines.push(`complete -c backupctl -n ${noneYet} ${fishFlag(flag)}`);
  for (const command of commands) {
    const [first = "", second] = command.name.split(" ");
    const seen = second === undefined ? first : `${first}; and __fish_seen_subcommand_from ${second}`;
    const when = quoted(`__fish_seen_subcommand_from ${seen}`);
    if (second !== undefined) {
      lines.push(
        `complete -c backupctl -n ${quoted(`__fish_seen_subcommand_from ${first}`)} -f -a ${second} -d ${quoted(command.summary)}`,
      );
    }
    for (const word of operandsOf(commands, command)) lines.push(`complete -c backupctl -n ${when} -f -a ${word}`);
    for (const flag of flagsOf(command)) lines.push(`complete -c backupctl -n ${when} ${fishFlag(flag)}`);
  }
  return `# fish completion for backupctl\n${lines.join("\n")}\n`;
}

function fishFlag({ flag, option, takesValue }: Flag): string {
  const short = option.short === undefined || flag.startsWith("--no-") ? "" : ` -s ${option.short}`;
  const given = option.path === true ? " -r -F" : " -x";
  const value = takesValue ? given : " -f";
  const choices = takesValue && option.choices !== undefined ? ` -a ${quoted(option.choices.join(" "))}` : "";
  return `-l ${flag.slice(2)}${short}${value}${choices} -d ${quoted(option.description)}`;
}

/** In single quotes, as sh and fish take it. */
function quoted(text: string): string {
  return `'${text.replaceAll("'", "'\\''")}'`;
}
