import { expect, test } from "vitest";
import { type CoverageInput, judgeCoverage } from "../../scripts/coverage-rules.ts";

const TEXT = "first();\nsecond();\nif (!isExpected(error)) throw error;\n";

/** A file of which these lines never ran. */
function fileOf(text: string, missed: readonly number[]): CoverageInput["files"][string] {
  const lines = text.split("\n").slice(0, -1);
  const statementMap = Object.fromEntries(lines.map((_, i) => [`${i}`, { start: { line: i + 1 } }]));
  return {
    text,
    coverage: { statementMap, s: Object.fromEntries(lines.map((_, i) => [`${i}`, missed.includes(i + 1) ? 0 : 2])) },
  };
}

test("a line that no test runs is named, unless somebody decided so or it passes on what nobody expects", () => {
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(TEXT, [1, 2, 3]) },
    decided: { "src/a.ts": { "only on another system": ["first();"] } },
  });

  expect(report).toEqual({ lines: 3, covered: 0, problems: ["src/a.ts:2: second();"] });
});

test("a decision about what is not there any longer is named", () => {
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(TEXT, []) },
    decided: { "src/a.ts": { reason: ["third();"] }, "src/gone.ts": { reason: ["x();"] } },
  });

  expect(report.problems).toEqual([
    "src/a.ts has no such line any longer: third();",
    "src/gone.ts is not there any longer",
  ]);
});
