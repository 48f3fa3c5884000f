import type { z } from "zod";
import type { ConfigDocument } from "./document.ts";
import { nearest } from "./nearest.ts";
import type { ConfigPath, Problem } from "./problems.ts";
import { child, isRecord, knownNames, schemaAt, unionAt, valueAt, variantNames } from "./schema-walk.ts";

type Issue = z.core.$ZodIssue;

/** What a schema found wrong, in the words of this program, with places and suggestions. Values are never repeated. */
export function problemsOf(
  issues: readonly Issue[],
  context: {
    readonly schema: unknown;
    readonly values: unknown;
    readonly document: ConfigDocument;
    readonly under?: ConfigPath;
  },
): readonly Problem[] {
  const { schema, values, document, under = [] } = context;
  return issues.flatMap((issue) => {
    const path = plainPath(issue.path);
    if (issue.code === "unrecognized_keys") {
      const known = knownNames(schemaAt(schema, path, values));
      return issue.keys.map((key) => unknownKey([...under, ...path, key], key, known, document));
    }
    const full = [...under, ...path];
    if (issue.code === "invalid_union" && issue.discriminator !== undefined) {
      return [unknownVariant(issue.discriminator, { path, full, schema, values, document })];
    }
    const missing = issue.code === "invalid_type" && valueAt(values, path) === undefined;
    const message = missing ? "is missing" : describe(issue, valueAt(values, path));
    const suggestion = missing ? undefined : suggestedValue(issue, valueAt(values, path));
    return [
      {
        path: full,
        message,
        ...document.position(
          missing ? full.slice(0, -1) : full,
          issue.code === "invalid_key" || missing ? "key" : "value",
        ),
        ...(suggestion === undefined ? {} : { suggestion }),
      },
    ];
  });
}

/**
 * Text that came from the environment becomes a number or a boolean where the schema asks for one.
 * @returns whether anything changed, so that it is worth checking again.
 */
export function coerceExpanded(issues: readonly Issue[], values: unknown, document: ConfigDocument): boolean {
  let changed = false;
  for (const issue of issues) {
    const path = plainPath(issue.path);
    const text = valueAt(values, path);
    const parent = valueAt(values, path.slice(0, -1));
    const last = path.at(-1);
    if (typeof text !== "string" || last === undefined || !document.isExpanded(path)) continue;
    const coerced = coerce(text, expectedOf(issue));
    if (coerced === undefined || !(isRecord(parent) || Array.isArray(parent))) continue;
    Reflect.set(parent, last, coerced);
    changed = true;
  }
  return changed;
}

function expectedOf(issue: Issue): readonly string[] {
  if (issue.code === "invalid_type") return [issue.expected];
  if (issue.code === "invalid_value") return issue.values.map((value) => typeof value);
  if (issue.code === "invalid_union") return issue.errors.flat().flatMap((inner) => expectedOf(inner));
  return [];
}

function coerce(text: string, expected: readonly string[]): number | boolean | undefined {
  if (expected.includes("boolean") && /^(true|false)$/i.test(text)) return text.toLowerCase() === "true";
  const wantsNumber = expected.includes("number") || expected.includes("int");
  return wantsNumber && /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : undefined;
}

function plainPath(path: readonly PropertyKey[]): ConfigPath {
  return path.map((part) => (typeof part === "symbol" ? String(part) : part));
}

function unknownKey(path: ConfigPath, key: string, known: readonly string[], document: ConfigDocument): Problem {
  const suggestion = nearest(key, known);
  const names = suggestion === undefined && known.length > 0 ? `; known here: ${known.join(", ")}` : "";
  return {
    path,
    message: `unknown key${names}`,
    ...document.position(path, "key"),
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

function unknownVariant(
  discriminator: string,
  at: {
    readonly path: ConfigPath;
    readonly full: ConfigPath;
    readonly schema: unknown;
    readonly values: unknown;
    readonly document: ConfigDocument;
  },
): Problem {
  // The path of the issue ends with the discriminator.
  const owner = at.path.at(-1) === discriminator ? at.path.slice(0, -1) : at.path;
  const full = at.path.at(-1) === discriminator ? at.full : [...at.full, discriminator];
  const known = variantNames(unionAt(at.schema, owner, at.values), discriminator);
  const given = child(valueAt(at.values, owner), discriminator);
  if (typeof given !== "string") {
    const problem = given === undefined ? "is missing" : "must be text";
    return {
      path: full,
      message: `${problem}; known: ${known.join(", ")}`,
      ...at.document.position(full.slice(0, -1), "key"),
    };
  }
  const suggestion = nearest(given, known);
  return {
    path: full,
    message: `"${given}" is not known here; known: ${known.join(", ")}`,
    ...at.document.position(full, "value"),
    ...(suggestion === undefined ? {} : { suggestion }),
  };
}

const KINDS: Readonly<Record<string, string>> = {
  int: "a whole number",
  number: "a number",
  boolean: "true or false",
  string: "text",
  array: "a list",
  object: "a map of options",
  record: "a map",
};

function describe(issue: Issue, value: unknown): string {
  switch (issue.code) {
    case "invalid_type":
      if (!issue.message.startsWith("Invalid input")) return issue.message;
      if (issue.expected === "int" && typeof value === "number") return "must be a whole number";
      return `must be ${KINDS[issue.expected] ?? issue.expected}, not ${kindOf(value)}`;
    case "invalid_value":
      return `must be ${issue.values.map(String).join(" or ")}`;
    case "too_small":
      return issue.origin === "string" || issue.origin === "array"
        ? "must not be empty"
        : `must be at least ${issue.minimum}`;
    case "too_big":
      return issue.origin === "string" || issue.origin === "array"
        ? `must not be longer than ${issue.maximum}`
        : `must be at most ${issue.maximum}`;
    case "invalid_union":
      return alternatives(issue.errors, value);
    case "invalid_key":
      return issue.issues[0]?.message ?? "is not a name";
    case "invalid_format":
      return issue.message.startsWith("Invalid string") ? "is not of the right form" : issue.message;
    default:
      return issue.message;
  }
}

/** Of a union: the reasons of the member that the value came closest to, else every member's wish. */
function alternatives(errors: readonly (readonly Issue[])[], value: unknown): string {
  const deeper = errors.find((issues) => issues.some((issue) => issue.path.length > 0));
  if (deeper?.[0] !== undefined) return `${deeper[0].path.join(".")} ${describe(deeper[0], undefined)}`;
  const wishes = errors.flatMap((issues) => issues.slice(0, 1).map((issue) => describe(issue, value)));
  const kinds = wishes.map((wish) => wish.replace(/^must be /, "").replace(/, not .*$/, ""));
  return wishes.every((wish) => wish.startsWith("must be "))
    ? `must be ${[...new Set(kinds)].join(" or ")}`
    : (wishes[0] ?? "is not valid");
}

function kindOf(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (value === null) return "nothing";
  if (typeof value === "object") return "a map";
  if (typeof value === "string") return "text";
  return typeof value === "boolean" ? "true or false" : `a ${typeof value}`;
}

function suggestedValue(issue: Issue, value: unknown): string | undefined {
  return issue.code === "invalid_value" && typeof value === "string"
    ? nearest(value, issue.values.map(String))
    : undefined;
}
