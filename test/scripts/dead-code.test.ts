import { expect, test } from "vitest";
import { type DeadCodeInput, deadCode } from "../../scripts/dead-code-rules.ts";
import { parseSource, type SourceFile } from "../../scripts/source-tree.ts";

function files(texts: Record<string, string>): SourceFile[] {
  return Object.entries(texts).map(([path, text]) => parseSource(path, text));
}

function findings(sources: Record<string, string>, rest: Partial<DeadCodeInput> = {}): string[] {
  return deadCode({ sources: files(sources), others: [], manifest: {}, allowed: {}, ...rest });
}

test("an export that another source file imports is alive, however it is imported", () => {
  const found = findings({
    "src/main.ts": `import { a, type B } from "./a.ts"; import * as c from "./c.ts"; c.used();
      const { lazy } = await import("./d.ts"); new Worker(new URL("./worker.js", import.meta.url));`,
    "src/a.ts": "export const a = 1; export interface B {}",
    "src/c.ts": "export function used() {}",
    "src/d.ts": 'export const lazy = 1; export { e } from "./e.ts";',
    "src/e.ts": "export const e = 1;",
    "src/worker.ts": "run();",
  });

  expect(found).toEqual(["src/d.ts: no other file of src uses the export e"]);
});

test("an export that only its own file or a test uses is dead, and so is a file", () => {
  const found = findings(
    {
      "src/main.ts": 'import { a } from "./a.ts"; import * as c from "./c.ts";',
      "src/a.ts": "export const a = () => own; export const own = 1; export class Tested {}",
      "src/c.ts": "export const unused = 1;",
      "src/lonely.ts": "export const x = 1;",
    },
    { others: files({ "test/a.test.ts": 'import { Tested } from "../src/a.ts";' }) },
  );

  expect(found).toEqual([
    "src/a.ts: no other file of src uses the export own",
    "src/a.ts: no other file of src uses the export Tested, only tests or scripts do",
    "src/c.ts: no other file of src uses the export unused",
    "src/lonely.ts: the program does not use this file",
  ]);
});

test("packages are compared with what is imported", () => {
  const found = findings(
    { "src/main.ts": 'import chalk from "chalk"; import tar from "tar-stream/pack"; import fs from "node:fs";' },
    {
      manifest: {
        scripts: { build: "tsc -p ." },
        dependencies: { chalk: "1", ora: "1" },
        devDependencies: { typescript: "1", "@types/node": "1", "@types/tar": "1", "fast-check": "1" },
      },
    },
  );

  expect(found).toEqual([
    "package.json: src does not import the dependency ora",
    "package.json: nothing uses the development dependency @types/tar",
    "package.json: nothing uses the development dependency fast-check",
    "src/main.ts:1: package.json does not list tar-stream/pack",
  ]);
});

test("an allowed finding is silent, and an entry that allows nothing is reported", () => {
  const found = findings(
    { "src/main.ts": 'import "./a.ts";', "src/a.ts": "export const kept = 1;" },
    { allowed: { "src/a.ts#kept": "a reason", "src/a.ts#gone": "a reason" } },
  );

  expect(found).toEqual(['scripts/dead-code-allow.json: "src/a.ts#gone" is used or gone, delete the entry']);
});
