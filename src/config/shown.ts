import { at } from "./check.ts";
import type { Config } from "./config.ts";
import { adapterParts } from "./resolve.ts";
import type { ConfigSchema } from "./schema.ts";
import { isRecord } from "./schema-walk.ts";
import { marksOf } from "./secret-options.ts";

const HIDDEN = "***";

/** The configuration in its file's shape with every default, and `***` for every secret. */
export function shownConfig(
  values: Readonly<Record<string, unknown>>,
  schema: ConfigSchema,
  resolved: Pick<Config, "name" | "stateDir" | "compression">,
): Readonly<Record<string, unknown>> {
  const parsed = schema.full.parse(values);
  const shown: unknown = structuredClone(parsed);
  if (!isRecord(shown)) throw new TypeError("a configuration is an object");
  shown.name = resolved.name;
  shown.state_dir = resolved.stateDir;
  // Its default depends on the algorithm, and "none" has none.
  if (resolved.compression.level > 0) shown.compression = { ...resolved.compression };
  for (const { path, variant } of adapterParts(shown, schema)) {
    const part = at(shown, path);
    for (const [name, field] of Object.entries(variant.shape)) {
      const marks = marksOf(field);
      if (part[name] === undefined) continue;
      if (marks.secret) part[name] = HIDDEN;
      if (marks.concealed) part[name] = concealed(part[name]);
    }
  }
  return shown;
}

function concealed(value: unknown): unknown {
  return isRecord(value) ? Object.fromEntries(Object.keys(value).map((key) => [key, HIDDEN])) : HIDDEN;
}
