import { z } from "zod";
import { absolutePaths, type PathBase } from "./absolute-paths.ts";
import { crossChecks } from "./checks.ts";
import type { ConfigDocument } from "./document.ts";
import { coerceExpanded, problemsOf } from "./issues.ts";
import type { ConfigPath, Problem } from "./problems.ts";
import type { ConfigSchema, Frame, Variant } from "./schema.ts";
import { isRecord, memberOf, settle } from "./schema-walk.ts";
import { secretNames, withSecretForms } from "./secret-options.ts";

/** Compiling a schema, as zod does, takes longer than using it a few times. */
const ONCE = { jitless: true };

/** The outcome of checking a document: `frame` and `values` only where nothing (that matters) is wrong. */
export interface Checked {
  readonly problems: readonly Problem[];
  /** As the file has it, with coerced values, without empty parts. */
  readonly values: Readonly<Record<string, unknown>>;
  readonly frame: Frame | undefined;
}

export function checkDocument(
  document: ConfigDocument,
  schema: ConfigSchema,
  base: PathBase,
  given: unknown = document.values,
): Checked {
  if (document.broken) return { problems: document.problems, values: {}, frame: undefined };
  const values = withoutNulls(given ?? {}, schema.full);
  if (!isRecord(values)) {
    return {
      problems: [{ path: [], message: "must be a map of sections", line: 1, column: 1 }],
      values: {},
      frame: undefined,
    };
  }
  absolutePaths(schema.full, values, base);
  const structure = checkStructure(document, schema.full, values);
  const frame = structure.length === 0 ? schema.frame.parse(values, ONCE) : undefined;
  const further =
    frame === undefined
      ? []
      : [...optionProblems(frame, values, { schema, document, base }), ...crossChecks(frame, document)];
  return { problems: [...document.problems, ...unsaid([...structure, ...further], document.problems)], values, frame };
}

function checkStructure(
  document: ConfigDocument,
  schema: z.ZodType,
  values: Record<string, unknown>,
): readonly Problem[] {
  let result = schema.safeParse(values, ONCE);
  if (!result.success && coerceExpanded(result.error.issues, values, document)) result = schema.safeParse(values, ONCE);
  return result.success ? [] : problemsOf(result.error.issues, { schema, values, document });
}

/** What the adapters' own schemas say beyond single options, and what targets change in them. */
function optionProblems(
  frame: Frame,
  values: Record<string, unknown>,
  context: { readonly schema: ConfigSchema; readonly document: ConfigDocument; readonly base: PathBase },
): readonly Problem[] {
  const { schema, document } = context;
  const families = [
    ...Object.entries(frame.storages).map(([name, one]) => ({
      path: ["storages", name],
      variant: schema.storages.get(one.type),
    })),
    ...Object.entries(frame.encryption.keys).map(([name, one]) => ({
      path: ["encryption", "keys", name],
      variant: schema.keys.get(one.provider),
    })),
    ...Object.entries(frame.sources).map(([name, one]) => ({
      path: ["sources", name],
      variant: schema.engines.get(one.engine),
    })),
    ...Object.entries(frame.notifiers).map(([name, one]) => ({
      path: ["notifiers", name],
      variant: schema.notifiers.get(one.type),
    })),
  ];
  const ofOptions = families.flatMap(({ path, variant }) =>
    variant === undefined ? [] : ownProblems(variant, path, at(values, path), document),
  );
  const ofTargets = Object.entries(frame.targets).flatMap(([target, { sources }]) =>
    Object.keys(sources).flatMap((source) => {
      const variant = schema.engines.get(frame.sources[source]?.engine ?? "");
      const path = ["targets", target, "sources", source];
      return variant === undefined ? [] : overrideProblems(variant, path, at(values, path), context);
    }),
  );
  return [...ofOptions, ...ofTargets];
}

/** Stands for a secret that still has to be fetched. */
const PENDING = "pending";

/** Rules between an adapter's options, but for those about secrets that still have to be fetched. */
function ownProblems(
  variant: Variant,
  path: ConfigPath,
  given: Record<string, unknown>,
  document: ConfigDocument,
): readonly Problem[] {
  const pending = secretNames(variant.shape).filter(
    (name) => given[`${name}_file`] !== undefined || given[`${name}_command`] !== undefined,
  );
  const options = {
    ...Object.fromEntries(Object.entries(given).filter(([key]) => Object.hasOwn(variant.shape, key))),
    ...Object.fromEntries(pending.map((name) => [name, PENDING])),
  };
  const result = variant.options.safeParse(options, ONCE);
  if (result.success) {
    const found = variant.rules(result.data, given).filter(({ path: [name = ""] }) => !pending.includes(name));
    return found.map((problem) => {
      const full = [...path, ...problem.path];
      return { path: full, message: problem.message, isRule: true, ...document.position(full, "key") };
    });
  }
  if (pending.length > 0) return [];
  return problemsOf(result.error.issues, { schema: variant.options, values: options, document, under: path });
}

/** A target's overrides: any of the engine's options, each for itself. */
function overrideProblems(
  variant: Variant,
  path: ConfigPath,
  overrides: Record<string, unknown>,
  context: { readonly document: ConfigDocument; readonly base: PathBase },
): readonly Problem[] {
  const schema = overrideSchema(variant);
  const { document } = context;
  absolutePaths(schema, overrides, context.base);
  let result = schema.safeParse(overrides, ONCE);
  if (!result.success) {
    const shifted: ConfigDocument = { ...document, isExpanded: (inner) => document.isExpanded([...path, ...inner]) };
    if (coerceExpanded(result.error.issues, overrides, shifted)) result = schema.safeParse(overrides, ONCE);
  }
  return result.success ? [] : problemsOf(result.error.issues, { schema, values: overrides, document, under: path });
}

function overrideSchema(variant: Variant): z.ZodObject {
  const shape = withSecretForms(variant.shape);
  return z.strictObject(Object.fromEntries(Object.entries(shape).map(([name, one]) => [name, one.optional()])));
}

export function at(values: unknown, path: ConfigPath): Record<string, unknown> {
  const found = path.reduce<unknown>((value, part) => (isRecord(value) ? value[part] : undefined), values);
  return isRecord(found) ? found : {};
}

/** A place that already has a problem, e.g. an unset variable, gets no second one that follows from it. */
function unsaid(problems: readonly Problem[], said: readonly Problem[]): readonly Problem[] {
  const places = new Set(said.map((problem) => problem.path.join(".")));
  return problems.filter((problem) => !places.has(problem.path.join(".")));
}

/**
 * A section or option whose lines are all commented out is as good as absent. A name with nothing below it is not: a source
 * that someone named and nobody backs up must be a mistake.
 */
function withoutNulls(value: unknown, schema: unknown): unknown {
  if (!isRecord(value)) return value;
  const settled = settle(schema, value);
  const kept = Object.entries(value).filter(([, item]) => item !== null || settled instanceof z.ZodRecord);
  return Object.fromEntries(kept.map(([key, item]) => [key, withoutNulls(item, memberOf(settled, key))]));
}
