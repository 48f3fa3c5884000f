import { DURATION_HINT, durationMs, parseFiniteDuration } from "../domain/duration.ts";
import { BackupctlError } from "../errors.ts";

/** What the command line gave for one option, over all its spellings, in order. */
export interface Given {
  readonly values: readonly string[];
  /** Of options without a value: true when given, false when given as `--no-…`. */
  readonly enabled: boolean | undefined;
}

/** `optional`: with or without a value. `negatable` and `optional` also take `--no-…`. */
type OptionKind = "flag" | "negatable" | "value" | "optional";

/** An option as data: parsing, help, completion and documentation are made from it. Its long flag is its key in kebab-case. */
export interface Option<T> {
  readonly kind: OptionKind;
  readonly description: string;
  readonly placeholder?: string;
  readonly short?: string;
  /** Accepted, but absent from help, completion and documentation. */
  readonly hidden?: boolean;
  /** Other accepted spellings, hidden likewise. */
  readonly aliases?: readonly string[];
  /** For completion. */
  readonly choices?: readonly string[];
  /** Its values are paths: completion offers files. */
  readonly path?: boolean;
  /** @throws `USAGE` naming `flag` */
  readonly read: (given: Given, flag: string) => T;
}

export type Options = Readonly<Record<string, Option<unknown>>>;

interface Extra {
  readonly short?: string;
  readonly hidden?: boolean;
  readonly aliases?: readonly string[];
  readonly choices?: readonly string[];
  readonly path?: boolean;
}

export function flag(description: string, extra: Extra = {}): Option<boolean> {
  return { kind: "flag", description, ...extra, read: ({ enabled }) => enabled === true };
}

/** `--x` and `--no-x`; neither: `undefined`. */
export function negatable(description: string, extra: Extra = {}): Option<boolean | undefined> {
  return { kind: "negatable", description, ...extra, read: ({ enabled }) => enabled };
}

export function text(placeholder: string, description: string, extra: Extra = {}): Option<string | undefined> {
  return { kind: "value", placeholder, description, ...extra, read: single };
}

/** One of a fixed set of words; `also` are accepted and not offered. */
export function choice<const C extends string>(
  choices: readonly C[],
  description: string,
  extra: Extra & { readonly placeholder: string },
): Option<C | undefined> {
  return {
    kind: "value",
    description,
    choices,
    ...extra,
    read: (given, flag) => {
      const word = single(given, flag);
      const found = choices.find((candidate) => candidate === word);
      if (word !== undefined && found === undefined) {
        throw new BackupctlError("USAGE", `${flag} "${word}" is not known`, {
          hint: `Use one of ${choices.join(", ")}.`,
        });
      }
      return found;
    },
  };
}

/** `--x a,b --x c`: names, which never hold a comma. */
export function names(placeholder: string, description: string, extra: Extra = {}): Option<readonly string[]> {
  return {
    kind: "value",
    placeholder,
    description,
    ...extra,
    read: ({ values }, flag) => {
      const list = values.flatMap((value) => value.split(",")).map((name) => name.trim());
      if (list.includes(""))
        throw new BackupctlError("USAGE", `${flag} has an empty name`, { hint: `Write ${flag} ${placeholder}.` });
      return [...new Set(list)];
    },
  };
}

/** `--x 'a,b' --x c`: each whole, because a path may hold a comma. */
export function repeated(placeholder: string, description: string, extra: Extra = {}): Option<readonly string[]> {
  return { kind: "value", placeholder, description, ...extra, read: ({ values }) => values };
}

export function integer(
  placeholder: string,
  range: { readonly min: number; readonly max: number },
  description: string,
  extra: Extra = {},
): Option<number | undefined> {
  return {
    kind: "value",
    placeholder,
    description,
    ...extra,
    read: (given, flag) => {
      const written = single(given, flag);
      if (written === undefined) return undefined;
      const number = /^[+-]?\d{1,15}$/.test(written.trim()) ? Number(written) : Number.NaN;
      if (number >= range.min && number <= range.max) return number;
      throw new BackupctlError(
        "USAGE",
        `${flag} "${written}" is not a whole number from ${range.min} to ${range.max}`,
        {
          hint: `${flag} ${placeholder}: ${description}.`,
        },
      );
    },
  };
}

/** In milliseconds. */
export function duration(placeholder: string, description: string, extra: Extra = {}): Option<number | undefined> {
  return {
    kind: "value",
    placeholder,
    description,
    ...extra,
    read: (given, flag) => {
      const written = single(given, flag);
      return written === undefined ? undefined : readDuration(written, flag);
    },
  };
}

function readDuration(written: string, flag: string): number {
  try {
    return durationMs(parseFiniteDuration(written));
  } catch (cause) {
    throw new BackupctlError("USAGE", `${flag} "${written}" is not a duration`, { hint: DURATION_HINT, cause });
  }
}

/** `--x`, `--x=word` and `--no-x`. */
export function optionalWord<const W extends string>(
  word: W,
  description: string,
  extra: Extra = {},
): Option<boolean | W | undefined> {
  return {
    kind: "optional",
    placeholder: word,
    description,
    choices: [word],
    ...extra,
    read: (given, flag) => {
      const written = given.values.at(-1);
      if (written === undefined) return given.enabled;
      if (written === word) return word;
      throw new BackupctlError("USAGE", `${flag} "${written}" is not known`, {
        hint: `Write ${flag}, ${flag} ${word} or --no-${flag.slice(2)}.`,
      });
    },
  };
}

/** Two different values for an option that takes one are a mistake that must not be resolved by guessing. */
function single({ values }: Given, flag: string): string | undefined {
  const different = [...new Set(values)];
  if (different.length > 1) {
    const listed = different.map((value) => `"${value}"`).join(" and ");
    throw new BackupctlError("USAGE", `${flag} was given as ${listed}`, { hint: "Give it once." });
  }
  const [value] = different;
  if (value?.trim() === "")
    throw new BackupctlError("USAGE", `${flag} is empty`, { hint: "Give it a value, or leave it out." });
  return value;
}

/** `compressionLevel` is `--compression-level`. */
export function flagOf(key: string): string {
  return `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
}
