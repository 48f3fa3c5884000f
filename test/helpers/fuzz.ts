import fc from "fast-check";
import { expect } from "vitest";
import { isBackupctlError } from "../../src/errors.ts";
import { DamageError } from "../../src/format/block.ts";
import { StoredDamage } from "../../src/format/pack-source.ts";
import { UnreadableParent } from "../../src/format/parent-index.ts";

/** Mutated valid inputs for every parser of what comes from elsewhere: what is damaged by accident, and what somebody writes on purpose. */

/** Longer where nobody waits for it: BACKUPCTL_FUZZ_SECONDS is for each fuzz test. vitest.config.ts gives the seed where nobody does. */
const SECONDS = Number(process.env.BACKUPCTL_FUZZ_SECONDS ?? 1);
const SEED = Number(process.env.BACKUPCTL_FUZZ_SEED);
/** More than any parser may need for an input of some kilobytes: what claims to be large is refused before memory is taken. */
const MOST_MEMORY_BYTES = 512 * 1024 * 1024;

/**
 * Tries inputs with each parser until the time is over, however few a slow machine comes to. Anything but a value or an error that this
 * program means to give fails; the seed that the report names then is for BACKUPCTL_FUZZ_SEED.
 */
export async function fuzz<T>(inputs: fc.Arbitrary<T>, ...parsers: readonly ((input: T) => unknown)[]): Promise<void> {
  const before = process.resourceUsage().maxRSS;
  const property = fc.asyncProperty(inputs, async (input) => {
    for (const parse of parsers) await expectedAtMost(async () => parse(input));
  });
  const endsAt = performance.now() + SECONDS * 1000;
  let seed = SEED;
  do await fc.assert(property, { seed: seed++, numRuns: 50 });
  while (performance.now() < endsAt);
  expect((process.resourceUsage().maxRSS - before) * 1024).toBeLessThan(MOST_MEMORY_BYTES);
}

const MEANT = [DamageError, StoredDamage, UnreadableParent];

async function expectedAtMost(action: () => Promise<unknown>): Promise<void> {
  try {
    await action();
  } catch (error) {
    if (isBackupctlError(error) || MEANT.some((kind) => error instanceof kind)) return;
    throw error;
  }
}

/** Stands for lists in lists, deeper than any stack. */
const DEEP = "<deep>";
const DEPTH = 20_000;

/** What a member of a document may be in place of what it should be. */
const LARGE: readonly unknown[] = ["a".repeat(50_000), DEEP];
const WRONG: readonly unknown[] = [
  ...[null, true, false, "", [], {}, [[[[]]]], { toString: 1, valueOf: null }, { length: 2 ** 32 }],
  ...[0, -1, 0.5, 1e308, 2 ** 31, 2 ** 32, 2 ** 53, -(2 ** 53), "9".repeat(30)],
  ...["\ud800", "\0", "../../etc/passwd", "/etc/passwd", "..", "__proto__", "constructor", "\u001b[2J\u202e"],
  ...["2026-01-11T02:00:00.000Z", "+275760-09-13T00:00:00.001Z", "0000-00-00T99:99:99Z"],
];
const strange: fc.Arbitrary<unknown> = fc.oneof(
  { weight: 40, arbitrary: fc.constantFrom(...WRONG) },
  { weight: 1, arbitrary: fc.constantFrom(...LARGE) },
  { weight: 5, arbitrary: fc.oneof(fc.integer(), fc.string({ unit: "binary" }), fc.jsonValue()) },
);

interface Edit {
  readonly kind: "replace" | "remove" | "add" | "repeat";
  readonly at: number;
  readonly name: string;
  readonly value: unknown;
}

const edit: fc.Arbitrary<Edit> = fc.record({
  kind: fc.constantFrom("replace", "replace", "replace", "remove", "add", "repeat"),
  at: fc.nat(),
  name: fc.constantFrom("version", "more", "end", "chunks", "__proto__", "constructor", "toString", "mac", "x"),
  value: strange,
});

type Json = Record<string, unknown>;

/** A value of JSON with a few members replaced, left out, added or repeated, wherever they are. */
export function mutatedJson(valid: unknown): fc.Arbitrary<unknown> {
  return fc
    .oneof({ weight: 3, arbitrary: fc.tuple(edit) }, { weight: 1, arbitrary: fc.array(edit, { maxLength: 4 }) })
    .map((edits) => {
      const document: { root: unknown } = { root: structuredClone(valid) };
      for (const one of edits) apply(document, one);
      return document.root;
    });
}

/** What `mutatedJson` gave, as text. */
export function jsonText(value: unknown): string {
  const text = JSON.stringify(value) ?? "";
  return text.replaceAll(JSON.stringify(DEEP), "[".repeat(DEPTH) + "]".repeat(DEPTH));
}

function apply(document: Json, { kind, at, name, value: shared }: Edit): void {
  const value: unknown = structuredClone(shared);
  const places = placesIn(document);
  const place = places[at % places.length];
  if (place === undefined) return;
  const { holder, key } = place;
  const target = holder[key];
  if (kind === "replace") holder[key] = value;
  else if (kind === "remove" && Array.isArray(holder)) holder.splice(Number(key), 1);
  else if (kind === "remove") delete holder[key];
  else if (kind === "repeat" && Array.isArray(holder)) holder.push(structuredClone(target));
  else if (typeof target === "object" && target !== null) add(target, name, value);
}

/** Also `__proto__`, which an assignment would not make a member of. */
function add(target: object, name: string, value: unknown): void {
  if (Array.isArray(target)) target.push(value);
  else Object.defineProperty(target, name, { value, enumerable: true, configurable: true, writable: true });
}

function placesIn(value: unknown): { readonly holder: Json; readonly key: string }[] {
  if (typeof value !== "object" || value === null) return [];
  const holder = value as Json;
  return Object.keys(holder).flatMap((key) => [{ holder, key }, ...placesIn(holder[key])]);
}

interface Change {
  readonly at: number;
  readonly length: number;
  readonly bytes: Uint8Array;
}

const CHANGES: readonly ((bytes: Buffer, change: Change) => Buffer)[] = [
  (bytes, { at, length }) => {
    const changed = Buffer.from(bytes);
    if (at < bytes.length) changed[at] = (bytes[at] ?? 0) ^ (1 << (length % 8));
    return changed;
  },
  (bytes, { at, bytes: others }) => Buffer.concat([bytes.subarray(0, at), others, bytes.subarray(at + others.length)]),
  (bytes, { at }) => bytes.subarray(0, at),
  (bytes, { at, length }) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + length)]),
  (bytes, { at, length }) => Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.max(0, at - length))]),
  (bytes, { at, bytes: more }) => Buffer.concat([bytes.subarray(0, at), more, bytes.subarray(at)]),
];

/** Bytes with some of them turned over, replaced, cut off, left out, repeated or put in. */
export function mutatedBytes(valid: Uint8Array): fc.Arbitrary<Buffer> {
  const change = fc.record({
    make: fc.constantFrom(...CHANGES),
    at: fc.nat(),
    length: fc.nat({ max: 64 }),
    bytes: fc.uint8Array({ maxLength: 16 }),
  });
  return fc
    .array(change, { minLength: 1, maxLength: 4 })
    .map((changes) =>
      changes.reduce<Buffer>(
        (bytes, { make, at, length, bytes: more }) => make(bytes, { at: at % (bytes.length + 1), length, bytes: more }),
        Buffer.from(valid),
      ),
    );
}

/** Lines of JSON with some of them changed, left out, repeated or moved; now and then their bytes. */
export function mutatedLines(lines: readonly string[]): fc.Arbitrary<Buffer> {
  const join = (all: readonly string[]): Buffer => Buffer.from(all.map((line) => `${line}\n`).join(""));
  const one = fc.nat({ max: Math.max(0, lines.length - 1) });
  const changed = one.chain((at) =>
    mutatedJson(JSON.parse(lines[at] ?? "null")).map((line) => lines.with(at, jsonText(line))),
  );
  const moved = fc.tuple(one, one, fc.boolean()).map(([from, to, keep]) => {
    const line = lines[from] ?? "";
    const others = keep ? lines : lines.toSpliced(from, 1);
    return others.toSpliced(to, 0, line);
  });
  const structured = fc.oneof({ weight: 4, arbitrary: changed }, { weight: 1, arbitrary: moved }).map(join);
  return fc.oneof({ weight: 3, arbitrary: structured }, { weight: 1, arbitrary: mutatedBytes(join(lines)) });
}
