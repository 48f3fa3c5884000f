import { BackupctlError } from "../errors.ts";
import type { Context } from "./context.ts";
import { flagOf, type Given, type Option, type Options } from "./option.ts";

/** The order of the help's first screen. */
export const GROUPS = ["Daily", "Restore", "Upkeep", "Set-up"] as const;
type Group = (typeof GROUPS)[number];

/** A positional argument. `flag`: a hidden option that means the same, e.g. `--backup-id`. */
interface Argument {
  readonly placeholder: string;
  readonly description: string;
  readonly required: boolean;
  readonly variadic?: boolean;
  readonly flag?: string;
  readonly choices?: readonly string[];
}

interface Example {
  readonly command: string;
  readonly text: string;
}

type OptionValues<O extends Options> = { readonly [K in keyof O]: O[K] extends Option<infer T> ? T : never };

/** A command as data. Exit statuses 1, 2, 129, 130 and 143 are said for all of them. */
interface Definition<O extends Options, A extends Argument | undefined> {
  /** As typed, e.g. `config show`. */
  readonly name: string;
  readonly group: Group;
  readonly summary: string;
  /** Paragraphs. */
  readonly description: readonly string[];
  readonly argument?: A;
  readonly options: O;
  readonly examples: readonly Example[];
  readonly exitCodes: Readonly<Record<number, string>>;
  /** False for commands whose output is for a program alone. */
  readonly json?: boolean;
  /** Resolves to the exit status. Everything expected that goes wrong is thrown. */
  readonly run: (context: Context, values: OptionValues<O>, operands: readonly string[]) => Promise<number>;
}

/** A command without the types of its own options, as the program, help, completion and documentation see it. */
export interface Command extends Omit<Definition<Options, Argument | undefined>, "run"> {
  readonly run: (context: Context, given: GivenOptions, operands: readonly string[]) => Promise<number>;
}

/** By the option's key. */
export type GivenOptions = Readonly<Record<string, Given>>;

export function defineCommand<const O extends Options, const A extends Argument | undefined = undefined>(
  definition: Definition<O, A>,
): Command {
  return {
    ...definition,
    run: (context, given, operands) =>
      definition.run(context, readOptions(definition.options, given), checkOperands(definition, operands)),
  };
}

const NOT_GIVEN: Given = { values: [], enabled: undefined };

/** Each key's value has the type of that option's `read`, which TypeScript cannot follow through `Object.fromEntries`. */
export function readOptions<O extends Options>(options: O, given: GivenOptions): OptionValues<O> {
  const read = Object.entries(options).map(([key, option]) => [key, option.read(given[key] ?? NOT_GIVEN, flagOf(key))]);
  return Object.fromEntries(read) as OptionValues<O>;
}

function checkOperands(
  { name, argument }: { readonly name: string; readonly argument?: Argument | undefined },
  operands: readonly string[],
): readonly string[] {
  if (argument?.required === true && operands.length === 0) {
    throw new BackupctlError("USAGE", `${name} needs ${argument.placeholder}: ${argument.description}`, {
      hint: `See \`backupctl ${name} --help\`.`,
    });
  }
  if (argument !== undefined && argument.variadic !== true && operands.length > 1) {
    throw new BackupctlError("USAGE", `${name} takes one ${argument.placeholder}, not ${operands.join(" and ")}`, {
      hint: `See \`backupctl ${name} --help\`.`,
    });
  }
  return operands;
}

/** The backup that most commands name, also by the seeds' `--backup-id`. */
export const BACKUP_ARGUMENT = {
  placeholder: "BACKUP",
  description: "a backup's id, the beginning of one, or latest",
  required: true,
  flag: "backup-id",
} as const satisfies Argument;

/** The operand of a command that demands one; `checkOperands` has run before. */
export function onlyOperand(operands: readonly string[]): string {
  const [operand] = operands;
  if (operand === undefined) throw new TypeError("a required operand is missing");
  return operand;
}
