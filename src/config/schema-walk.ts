import { z } from "zod";
import type { ConfigPath } from "./problems.ts";
import { innerOf } from "./secret-options.ts";

/** The schema that a value at this path is checked against; `values` decides between the variants of a union. */
export function schemaAt(schema: unknown, path: ConfigPath, values: unknown): unknown {
  let current = settle(schema, values);
  let value = values;
  for (const part of path) {
    value = child(value, part);
    if (current instanceof z.ZodObject) current = settle(current.shape[String(part)], value);
    else if (current instanceof z.ZodRecord) current = settle(current.valueType, value);
    else if (current instanceof z.ZodArray) current = settle(current.element, value);
    else return undefined;
  }
  return current;
}

/** Wrappers removed, the variant of a discriminated union chosen. */
export function settle(schema: unknown, value: unknown): unknown {
  let current = schema;
  for (let inner = innerOf(current); inner !== undefined; inner = innerOf(current)) current = inner;
  if (!(current instanceof z.ZodDiscriminatedUnion)) return current;
  const { discriminator } = current.def;
  const wanted = child(value, discriminator);
  return current.options.find((option) => {
    const name = variantName(option, discriminator);
    return name !== undefined && (name === wanted || (wanted === undefined && isDefault(option, discriminator)));
  });
}

function variantName(option: unknown, discriminator: string): string | undefined {
  const field: unknown = option instanceof z.ZodObject ? option.shape[discriminator] : undefined;
  const literal = innerOf(field) ?? field;
  return literal instanceof z.ZodLiteral ? String(literal.value) : undefined;
}

function isDefault(option: unknown, discriminator: string): boolean {
  return option instanceof z.ZodObject && option.shape[discriminator] instanceof z.ZodOptional;
}

/** The schema of what an object or map has under this key. */
export function memberOf(schema: unknown, key: string): unknown {
  if (schema instanceof z.ZodObject) return Object.hasOwn(schema.shape, key) ? schema.shape[key] : undefined;
  return schema instanceof z.ZodRecord ? schema.valueType : undefined;
}

export function child(value: unknown, part: string | number): unknown {
  return isRecord(value) || Array.isArray(value) ? Reflect.get(value, part) : undefined;
}

export function valueAt(value: unknown, path: ConfigPath): unknown {
  return path.reduce<unknown>((at, part) => child(at, part), value);
}

export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The names that an object may have here; empty where any name may be. */
export function knownNames(schema: unknown): readonly string[] {
  return schema instanceof z.ZodObject ? Object.keys(schema.shape) : [];
}

/** The values that a discriminator may have. */
export function variantNames(schema: unknown, discriminator: string): readonly string[] {
  let current = schema;
  for (let inner = innerOf(current); inner !== undefined; inner = innerOf(current)) current = inner;
  if (!(current instanceof z.ZodDiscriminatedUnion)) return [];
  return current.options.flatMap((option) => variantName(option, discriminator) ?? []);
}

/** The schema above the union's settling: what `variantNames` needs. */
export function unionAt(schema: unknown, path: ConfigPath, values: unknown): unknown {
  const parent = schemaAt(schema, path.slice(0, -1), values);
  return parent instanceof z.ZodRecord ? parent.valueType : undefined;
}
