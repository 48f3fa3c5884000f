import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type ConfigSchema, loadConfigSchema, type Variant } from "../src/config/schema.ts";
import { innerOf } from "../src/config/secret-options.ts";

/** Writes the reference tables of docs/configuration.md from the schemas. Run it after an option was changed. */

const BEGIN = "<!-- reference: written by scripts/generate-config-docs.ts -->";
const END = "<!-- reference ends -->";

export async function withReference(document: string): Promise<string> {
  const begin = document.indexOf(BEGIN);
  const end = document.indexOf(END);
  if (begin < 0 || end < begin) throw new Error("the marks of the reference are missing");
  const reference = renderReference(await loadConfigSchema());
  return `${document.slice(0, begin)}${BEGIN}\n\n${reference}\n${document.slice(end)}`;
}

function renderReference(schema: ConfigSchema): string {
  if (!(schema.full instanceof z.ZodObject)) throw new Error("the configuration is an object");
  const parts = ["### Top level\n", table(rowsOf(schema.full.shape, ""))];
  const families: readonly (readonly [string, string, ReadonlyMap<string, Variant>])[] = [
    ["storages", "type", schema.storages],
    ["encryption.keys", "provider", schema.keys],
    ["sources", "engine", schema.engines],
    ["schedules", "operation", schema.schedules],
    ["notifiers", "type", schema.notifiers],
  ];
  for (const [section, discriminator, variants] of families) {
    for (const { type, inFile } of variants.values()) {
      const { [discriminator]: _, ...shape } = inFile.shape;
      parts.push(`\n### ${section}: \`${discriminator}: ${type}\`\n`, table(rowsOf(shape, "")));
    }
  }
  return `${parts.join("\n")}\n`;
}

interface Row {
  readonly option: string;
  readonly fallback: string;
  readonly text: string;
}

function rowsOf(shape: Readonly<Record<string, unknown>>, prefix: string): readonly Row[] {
  return Object.entries(shape).flatMap(([name, schema]) => {
    const option = `${prefix}${name}`;
    const { inner, fallback, optional } = unwrapped(schema);
    if (inner instanceof z.ZodObject) return rowsOf(inner.shape, `${option}.`);
    const secretForm = schema instanceof z.ZodType ? schema.meta()?.secretForm : undefined;
    const required = optional || fallback !== undefined ? (fallback ?? "") : "required";
    return [{ option, fallback: secretForm === undefined ? required : "", text: describedAs(schema) }];
  });
}

function unwrapped(schema: unknown): { inner: unknown; fallback: string | undefined; optional: boolean } {
  let fallback: string | undefined;
  let optional = false;
  let inner = schema;
  for (let next: unknown = inner; next !== undefined; next = innerOf(next)) {
    inner = next;
    if (next instanceof z.ZodOptional) optional = true;
    if (next instanceof z.ZodDefault)
      fallback = `\`${JSON.stringify(next.def.defaultValue).replace(/^"(.*)"$/, "$1")}\``;
  }
  return { inner, fallback, optional };
}

function describedAs(schema: unknown): string {
  for (let at: unknown = schema; at instanceof z.ZodType; at = innerOf(at)) {
    if (at.description !== undefined) return at.description;
  }
  return "";
}

function table(rows: readonly Row[]): string {
  const lines = rows.map(
    ({ option, fallback, text }) => `| \`${option}\` | ${fallback} | ${text.replaceAll("|", "\\|")} |`,
  );
  return ["| option | default | what it is |", "|---|---|---|", ...lines].join("\n");
}

if (import.meta.main) {
  const file = join(import.meta.dirname, "..", "docs", "configuration.md");
  writeFileSync(file, await withReference(readFileSync(file, "utf8")));
}
