import * as path from "node:path";
import { z } from "zod";
import { isRecord, memberOf, settle } from "./schema-walk.ts";
import { marksOf } from "./secret-options.ts";

export interface PathBase {
  /** Where relative paths start: the config file's folder. cron runs in another one than the operator did. */
  readonly directory: string;
  /** What `~` stands for. */
  readonly home: string;
}

/** Makes every value absolute, in place, whose schema says that it is a path on this host. */
export function absolutePaths(schema: unknown, value: unknown, base: PathBase): void {
  const settled = settle(schema, value);
  if (Array.isArray(value) && settled instanceof z.ZodArray) {
    for (const item of value) absolutePaths(settled.element, item, base);
  }
  if (!isRecord(value)) return;
  for (const [key, item] of Object.entries(value)) {
    const inner = memberOf(settled, key);
    if (marksOf(inner).path)
      value[key] = Array.isArray(item) ? item.map((one) => absolute(one, base)) : absolute(item, base);
    else absolutePaths(inner, item, base);
  }
}

function absolute(value: unknown, base: PathBase): unknown {
  if (typeof value !== "string" || value === "") return value;
  if (value === "~" || value.startsWith("~/")) return path.join(base.home, value.slice(1));
  // Not path.resolve for what is absolute already: a trailing slash may mean something to an adapter.
  return path.isAbsolute(value) ? value : path.resolve(base.directory, value);
}
