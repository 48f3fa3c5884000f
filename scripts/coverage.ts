import { readdirSync, readFileSync } from "node:fs";
import { join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { type CoverageInput, type FileCoverage, judgeCoverage, type ThreadCoverage } from "./coverage-rules.ts";

/** Prints what vitest measured before, and fails where something is not covered that nobody has decided about. */
const root = join(import.meta.dirname, "..");
const FOLDERS = /^src\/(format|domain|operations)\//;
const BY_LINE = /^src\/operations\//;

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), "utf8"));
}

/** What test/helpers/measure-threads.ts had written, by path. */
function readThreads(): ReadonlyMap<string, readonly ThreadCoverage[]> {
  const byPath = new Map<string, ThreadCoverage[]>();
  for (const file of readdirSync(join(root, "coverage/threads"))) {
    const { result } = readJson(`coverage/threads/${file}`) as { result: (ThreadCoverage & { url: string })[] };
    for (const { url, functions } of result.filter((script) => script.url.startsWith("file:"))) {
      const path = relative(root, fileURLToPath(url));
      byPath.set(path, [...(byPath.get(path) ?? []), { functions }]);
    }
  }
  return byPath;
}

const threads = readThreads();
const measured = readJson("coverage/coverage-final.json") as Record<string, FileCoverage>;
const judged = Object.entries(measured)
  .map(([file, coverage]) => [relative(root, file), coverage] as const)
  .filter(([path]) => FOLDERS.test(path));
const { parts, covered, problems } = judgeCoverage({
  files: Object.fromEntries(
    judged.map(([path, coverage]) => {
      const text = readFileSync(join(root, path), "utf8");
      return [path, { coverage, text, byLine: BY_LINE.test(path), threads: threads.get(path) ?? [] }];
    }),
  ),
  decided: readJson("scripts/coverage-decided.json") as CoverageInput["decided"],
});

const what = "statements and branches of src/format and src/domain, and lines of src/operations,";
console.log(`${((100 * covered) / parts).toFixed(1)} % of ${parts} ${what} are covered`);
for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(`\n${problems.length} found. docs/testing.md says what to do about them.`);
  process.exitCode = 1;
}
