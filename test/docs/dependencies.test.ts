import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";

const root = join(import.meta.dirname, "../..");
const read = (path: string) => readFileSync(join(root, path), "utf8");
const manifest = JSON.parse(read("package.json")) as Record<string, Record<string, string>>;
const kinds = ["dependencies", "optionalDependencies", "devDependencies"];

test("docs/decisions/0002-dependencies.md justifies each package of package.json, and no other", () => {
  const rows = read("docs/decisions/0002-dependencies.md").match(/^\| `.*$/gm) ?? [];
  const justified = rows.flatMap((row) =>
    [...(row.split("|")[1] ?? "").matchAll(/`([^`]+)`/g)].map((match) => match[1]),
  );

  expect(justified.sort()).toEqual(kinds.flatMap((kind) => Object.keys(manifest[kind] ?? {})).sort());
});

test("versions are exact", () => {
  const versions = kinds.flatMap((kind) => Object.values(manifest[kind] ?? {}));

  expect(versions.filter((version) => !/^\d+\.\d+\.\d+$/.test(version))).toEqual([]);
});
