import type { Command as Parser, Option as ParserOption } from "commander";
import { BackupctlError } from "../errors.ts";
import type { Command, GivenOptions } from "./command.ts";
import { commandWords } from "./command-words.ts";
import { GLOBAL_OPTIONS } from "./global-options.ts";
import { commandHelp, groupHelp, mainHelp } from "./help.ts";
import { LATER_COMMANDS } from "./later-commands.ts";
import { flagOf, type Given, type Option, type Options } from "./option.ts";

/** What an argument list asks for. */
export type Parsed = ParsedRun | ParsedOther;

export interface ParsedRun {
  readonly kind: "run";
  readonly command: Command;
  readonly given: GivenOptions;
  readonly globals: GivenOptions;
  readonly operands: readonly string[];
}

export type ParsedOther =
  | { readonly kind: "print"; readonly text: string }
  | { readonly kind: "version" }
  | { readonly kind: "later"; readonly name: string }
  | { readonly kind: "unknown"; readonly name: string }
  /** No command at all, or a group without one of its commands. */
  | { readonly kind: "nothing"; readonly text: string };

type Commander = typeof import("commander");

/** @throws `CommanderError`, which `usage-errors.ts` translates. */
export async function parseArguments(
  argv: readonly string[],
  commands: readonly Command[],
  commander: Commander,
): Promise<Parsed> {
  let parsed: Parsed | undefined;
  const helpTexts: string[] = [];
  const settle = (result: Parsed): void => {
    parsed = result;
  };

  const program = configured(new commander.Command("backupctl"), () => mainHelp(commands));
  program.enablePositionalOptions();
  addOptions(program, GLOBAL_OPTIONS, commander);
  program.option("-V, --version");
  program.action(() =>
    settle(program.opts().version === true ? { kind: "version" } : { kind: "nothing", text: mainHelp(commands) }),
  );

  const unknown = unknownCommand(argv, commands);
  if (unknown !== undefined) return { kind: "unknown", name: unknown };

  const groups = new Map<string, Parser>();
  // A parser of all commands takes longer to make than to use.
  const [named] = commandWords(argv);
  for (const command of commands) if (command.name.split(" ")[0] === named) addCommand(command);
  if (named !== undefined && Object.hasOwn(LATER_COMMANDS, named)) addLater(named);

  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof commander.CommanderError) || error.exitCode !== 0) throw error;
    return { kind: "print", text: helpTexts.join("") };
  }
  return parsed ?? { kind: "nothing", text: mainHelp(commands) };

  function configured(parser: Parser, help: () => string): Parser {
    return parser
      .exitOverride()
      .helpCommand(false)
      .helpOption("-h, --help")
      .showSuggestionAfterError(false)
      .configureHelp({ formatHelp: help })
      .configureOutput({ writeOut: (text) => helpTexts.push(text), writeErr: () => undefined });
  }

  function addCommand(command: Command): void {
    const [first = "", second] = command.name.split(" ");
    const parent = second === undefined ? program : groupOf(first);
    const parser = configured(parent.command(second ?? first), () => commandHelp(command));
    addOptions(parser, { ...GLOBAL_OPTIONS, ...command.options }, commander);
    const { argument } = command;
    if (argument !== undefined) parser.argument(argument.variadic === true ? "[operands...]" : "[operand]");
    if (argument?.flag !== undefined)
      parser.addOption(new commander.Option(`--${argument.flag} <value>`).argParser(collect));
    parser.action(() => {
      const raw: Readonly<Record<string, unknown>> = parser.opts();
      refuseFlagsAsValues(command, raw);
      const alias = argument?.flag === undefined ? [] : textsOf(raw[attributeOf(argument.flag)]);
      settle({
        kind: "run",
        command,
        given: readGiven(raw, command.options),
        globals: mergeGiven(readGiven(program.opts(), GLOBAL_OPTIONS), readGiven(raw, GLOBAL_OPTIONS)),
        operands: [...new Set([...parser.args, ...alias])],
      });
    });
  }

  function groupOf(name: string): Parser {
    const known = groups.get(name);
    if (known !== undefined) return known;
    const group = configured(program.command(name), () => groupHelp(name, commands));
    group.enablePositionalOptions();
    addOptions(group, GLOBAL_OPTIONS, commander);
    group.action(() => settle({ kind: "nothing", text: groupHelp(name, commands) }));
    groups.set(name, group);
    return group;
  }

  function addLater(name: string): void {
    const parser = configured(program.command(name, { hidden: true }), () => "");
    parser.helpOption(false).allowUnknownOption().allowExcessArguments();
    parser.action(() => settle({ kind: "later", name }));
  }
}

/** The first words of the arguments, unless they name a command. commander would complain about its options first. */
function unknownCommand(argv: readonly string[], commands: readonly Command[]): string | undefined {
  const [first, second] = commandWords(argv);
  if (first === undefined || Object.hasOwn(LATER_COMMANDS, first)) return undefined;
  const matching = commands.filter(({ name }) => name.split(" ")[0] === first);
  if (matching.length === 0) return first;
  const isGroup = matching.every(({ name }) => name.includes(" "));
  if (!isGroup || second === undefined) return undefined;
  return matching.some(({ name }) => name === `${first} ${second}`) ? undefined : `${first} ${second}`;
}

/** In `--type --limit 5` the value of --type was forgotten, not meant to be "--limit". */
function refuseFlagsAsValues(command: Command, raw: Readonly<Record<string, unknown>>): void {
  const flags = new Set(Object.keys({ ...GLOBAL_OPTIONS, ...command.options }).map(flagOf));
  for (const [attribute, value] of Object.entries(raw)) {
    const swallowed = textsOf(value).find((written) => flags.has(written));
    if (swallowed === undefined) continue;
    throw new BackupctlError("USAGE", `${flagOf(attribute)} has no value`, {
      hint: `Write a value between ${flagOf(attribute)} and ${swallowed}.`,
    });
  }
}

/** Values are gathered as they were written; the options' own `read` makes sense of them. */
function addOptions(parser: Parser, options: Options, { Option: OptionClass }: Commander): void {
  for (const [key, option] of Object.entries(options)) {
    for (const name of [flagOf(key), ...(option.aliases ?? []).map((alias) => `--${alias}`)]) {
      for (const flags of spellings(name, option)) parser.addOption(collecting(new OptionClass(flags), option));
    }
  }
}

function spellings(name: string, { kind, short }: Option<unknown>): readonly string[] {
  const flags = short === undefined || !name.startsWith("--") ? name : `-${short}, ${name}`;
  if (kind === "value") return [`${flags} <value>`];
  if (kind === "optional") return [`${flags} [value]`, `--no-${name.slice(2)}`];
  return kind === "negatable" ? [flags, `--no-${name.slice(2)}`] : [flags];
}

function collecting(option: ParserOption, { kind }: Option<unknown>): ParserOption {
  return (kind === "value" || kind === "optional") && !option.negate ? option.argParser(collect) : option;
}

function collect(value: string, previous: unknown): readonly string[] {
  return [...textsOf(previous), value];
}

function textsOf(raw: unknown): readonly string[] {
  return Array.isArray(raw) ? raw.filter((value) => typeof value === "string") : [];
}

function readGiven(raw: Readonly<Record<string, unknown>>, options: Options): GivenOptions {
  return Object.fromEntries(
    Object.entries(options).map(([key, option]): [string, Given] => {
      const written = [raw[key], ...(option.aliases ?? []).map((alias) => raw[attributeOf(alias)])];
      const switches = written.filter((value) => typeof value === "boolean");
      return [key, { values: written.flatMap(textsOf), enabled: switches.at(-1) }];
    }),
  );
}

function mergeGiven(outer: GivenOptions, inner: GivenOptions): GivenOptions {
  const keys = Object.keys({ ...outer, ...inner });
  return Object.fromEntries(
    keys.map((key): [string, Given] => {
      const [before, after] = [outer[key], inner[key]];
      const values = after?.values.length ? after.values : (before?.values ?? []);
      return [key, { values, enabled: after?.enabled ?? before?.enabled }];
    }),
  );
}

/** `backup-id` is `backupId` in commander's results. */
function attributeOf(name: string): string {
  return name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());
}
