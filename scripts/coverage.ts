import { readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { type CoverageInput, type FileCoverage, judgeCoverage } from "./coverage-rules.ts";

/** Prints what vitest measured before, and fails where a line is not covered that nobody has decided about. */

const root = join(import.meta.dirname, "..");
const FOLDERS = /^src\/(format|domain|operations)\//;

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), "utf8"));
}

const measured = readJson("coverage/coverage-final.json") as Record<string, FileCoverage>;
const judged = Object.entries(measured)
  .map(([file, coverage]) => [relative(root, file), coverage] as const)
  .filter(([path]) => FOLDERS.test(path));
const { lines, covered, problems } = judgeCoverage({
  files: Object.fromEntries(
    judged.map(([path, coverage]) => [path, { coverage, text: readFileSync(join(root, path), "utf8") }]),
  ),
  decided: readJson("scripts/coverage-decided.json") as CoverageInput["decided"],
});

console.log(
  `${((100 * covered) / lines).toFixed(1)} % of ${lines} lines of src/format, src/domain and src/operations are covered`,
);
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`\n${problems.length} found. docs/testing.md says what to do about them.`);
  process.exitCode = 1;
}
