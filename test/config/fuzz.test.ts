import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { parse } from "yaml";
import { loadConfig } from "../../src/config/load.ts";
import { isBackupctlError } from "../../src/errors.ts";
import { fuzz, jsonText, mutatedBytes, mutatedJson } from "../helpers/fuzz.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const example = readFileSync(join(import.meta.dirname, "../../backup.config.example.yaml"));

/** Anything but one of these is neither a configuration nor a refusal that says where it is wrong. */
async function load(text: string | Uint8Array, mode: "strict" | "rescue"): Promise<void> {
  const directory = loadedFrom;
  writeFileSync(join(directory, "backup.config.yaml"), text);
  try {
    const loaded = await loadConfig({ cwd: directory, env: { HOME: directory }, mode });
    JSON.stringify(loaded.shown());
  } catch (error) {
    if (isBackupctlError(error)) expect(error.code).toBe("CONFIG_INVALID");
    throw error;
  }
}

let loadedFrom = "";

/** Each line holds the one before twice. */
function doublings(count: number): string {
  return Array.from({ length: count }, (_, i) => `b${i + 1}: &b${i + 1} [*b${i}, *b${i}]`).join("\n");
}

test("any text is a configuration or a refusal", async () => {
  loadedFrom = tempDir();
  // JSON is YAML, and yet every member of it can be changed alone.
  const structured = mutatedJson(parse(example.toString("utf8"))).map(jsonText);
  const bytes = mutatedBytes(example);

  await fuzz(
    fc.oneof<[fc.Arbitrary<string>, fc.Arbitrary<Buffer>]>(structured, bytes),
    (text) => load(text, "strict"),
    (text) => load(text, "rescue"),
  );
});

test.each([
  ["aliases of aliases", `b0: &b0 [x, x]\n${doublings(40)}`],
  ["an alias of itself", "sources: &a\n  x: *a"],
  ["a merge of itself", "a: &a\n  <<: *a"],
  ["flow lists deeper than any stack", "[".repeat(20_000)],
  ["maps deeper than any stack", Array.from({ length: 3_000 }, (_, i) => `${" ".repeat(i)}a:`).join("\n")],
  ["sequences deeper than any stack", "- ".repeat(20_000)],
  ["a very long line", `name: ${"x".repeat(5_000_000)}`],
  ["zero bytes", "name: \0\0"],
  ["nothing", ""],
  ["a list", "- a"],
  ["a number", "1"],
  ["keys that are maps", "? {a: 1}\n: 2"],
  ["a binary tag", "name: !!binary aGVsbG8="],
  ["a set", "sources: !!set {a, b}"],
  ["a timestamp", "name: 2026-01-11"],
])("%s is refused in words", async (_, text) => {
  loadedFrom = tempDir();

  await expect(load(text, "strict")).rejects.toMatchObject({ code: "CONFIG_INVALID" });
  await load(text, "rescue").catch((error) => expect(error).toMatchObject({ code: "CONFIG_INVALID" }));
});
