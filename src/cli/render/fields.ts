import type { Look, Piece } from "./look.ts";
import { displayWidth } from "./width.ts";

export type Field = readonly [label: string, value: Piece | undefined];

/** Labels and values in two columns; a field without a value is left out. */
export function renderFields(look: Look, fields: readonly Field[], indent = "  "): string {
  const shown = fields.flatMap(([label, value]) =>
    value === undefined || value === "" ? [] : [{ label: look.show(label), value }],
  );
  const width = Math.max(0, ...shown.map(({ label }) => displayWidth(label)));
  return shown.map(({ label, value }) => `${indent}${label.padEnd(width)}  ${look.show(value)}`).join("\n");
}
