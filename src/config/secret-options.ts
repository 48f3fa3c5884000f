import { z } from "zod";

/**
 * Every option whose schema says `.meta({ secret: true })` may be given in three ways: itself, as `<name>_file`, or as
 * `<name>_command`. `concealed` options are only hidden wherever the configuration is shown.
 */
const SECRET_FORMS = ["", "_file", "_command"] as const;

type Shape = Readonly<Record<string, z.ZodType>>;

interface Marks {
  readonly secret: boolean;
  readonly concealed: boolean;
  /** A path on this host: relative ones start at the config file's folder. */
  readonly path: boolean;
}

/** Marks are looked for below `.optional()` and `.default()` too, because those make a new schema. */
export function marksOf(schema: unknown): Marks {
  const found = { secret: false, concealed: false, path: false };
  for (let at: unknown = schema; at instanceof z.ZodType; at = innerOf(at)) {
    const meta = at.meta() ?? {};
    found.secret ||= meta.secret === true;
    found.concealed ||= meta.concealed === true;
    found.path ||= meta.path === true;
  }
  return found;
}

export function innerOf(schema: unknown): unknown {
  if (schema instanceof z.ZodOptional || schema instanceof z.ZodNullable || schema instanceof z.ZodDefault)
    return schema.unwrap();
  if (schema instanceof z.ZodPrefault || schema instanceof z.ZodReadonly) return schema.unwrap();
  return undefined;
}

/** The description of a schema, wherever between its wrappers it was given. */
function describedAs(schema: unknown): string {
  for (let at: unknown = schema; at instanceof z.ZodType; at = innerOf(at)) {
    if (at.description !== undefined) return at.description;
  }
  return "";
}

export function secretNames(shape: Shape): readonly string[] {
  return Object.keys(shape).filter((name) => marksOf(shape[name]).secret);
}

/** The shape with the three forms of every secret; which of them are given is checked by `secretChoices`. */
export function withSecretForms(shape: Shape): Record<string, z.ZodType> {
  const result: Record<string, z.ZodType> = {};
  for (const [name, schema] of Object.entries(shape)) {
    if (!marksOf(schema).secret) {
      result[name] = schema;
      continue;
    }
    const text = describedAs(schema);
    result[name] = schema.optional().describe(text);
    result[`${name}_file`] = z
      .string()
      .min(1)
      .optional()
      .describe(`A file that holds \`${name}\`.`)
      .meta({ path: true, secretForm: name });
    result[`${name}_command`] = z
      .union([z.string().min(1), z.array(z.string()).min(1)])
      .optional()
      .describe(`A program that prints \`${name}\`: a list of arguments, or a text split at its spaces. No shell.`)
      .meta({ secretForm: name });
  }
  return result;
}

/** What is wrong with the choice of forms: two of them at once, or none of a secret that must be given. */
export function secretChoices(
  shape: Shape,
  value: Readonly<Record<string, unknown>>,
): readonly { name: string; message: string }[] {
  const problems: { name: string; message: string }[] = [];
  for (const name of secretNames(shape)) {
    const given = SECRET_FORMS.map((form) => `${name}${form}`).filter((key) => value[key] !== undefined);
    if (given.length > 1) problems.push({ name: given[1] ?? name, message: `is one too many beside ${given[0]}` });
    const optional = shape[name]?.safeParse(undefined).success === true;
    if (given.length === 0 && !optional) {
      problems.push({ name, message: `is missing; give ${name}, ${name}_file or ${name}_command` });
    }
  }
  return problems;
}
