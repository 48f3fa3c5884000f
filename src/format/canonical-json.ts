/**
 * RFC 8785 (JSON Canonicalization Scheme): one text for one value, so that a mac over it can be checked in any language.
 * Members are sorted by UTF-16 code units; numbers and strings are written as ECMAScript does; members that are `undefined`
 * are left out. Values that JSON has no exact text for (NaN, lone surrogates, functions, bigints) are a `TypeError`.
 */
export function canonicalJson(value: unknown): string {
  if (value === null || typeof value === "boolean") return String(value);
  if (typeof value === "number") return numberText(value);
  if (typeof value === "string") return stringText(value);
  if (Array.isArray(value)) return `[${value.map((item) => canonicalJson(item)).join(",")}]`;
  if (typeof value === "object") return objectText(value);
  throw new TypeError(`canonical JSON can't express a ${typeof value}`);
}

function objectText(value: object): string {
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    // JavaScript compares strings by UTF-16 code units, which is the order that the RFC asks for.
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([name, member]) => `${stringText(name)}:${canonicalJson(member)}`);
  return `{${members.join(",")}}`;
}

function numberText(value: number): string {
  if (!Number.isFinite(value)) throw new TypeError(`canonical JSON can't express ${value}`);
  return JSON.stringify(value);
}

function stringText(value: string): string {
  if (!value.isWellFormed()) throw new TypeError("canonical JSON can't express a lone surrogate");
  return JSON.stringify(value);
}
