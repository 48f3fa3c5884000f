import { expect, test } from "vitest";
import { type CoverageInput, judgeCoverage } from "../../scripts/coverage-rules.ts";

const TEXT = "first();\nsecond(\n  2,\n);\nif (!isExpected(error)) throw error;\n";

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
    files: { "src/a.ts": fileOf(TEXT, [1, 2, 5]) },
    decided: { "only on another system": { "src/a.ts": ["first();"] } },
  });

  expect(report).toEqual({ lines: 5, covered: 2, problems: ["src/a.ts:2: second("] });
});

test("an excerpt decides about every line that it is of, run or not", () => {
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(TEXT, [2, 3]), "src/b.ts": fileOf(TEXT, []) },
    decided: { reason: { "src/a.ts": ["second( 2"], "src/b.ts": ["first();"] } },
  });

  expect(report.problems).toEqual([]);
});

test("a decision about what is not there, or not only there, is named", () => {
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(TEXT, []), "src/b.ts": fileOf("return;\n}\nreturn;\nelse();\n", [1, 3]) },
    decided: { reason: { "src/a.ts": ["third();"], "src/b.ts": ["return;", "return; else"], "src/gone.ts": ["x();"] } },
  });

  expect(report.problems).toEqual([
    "src/a.ts has this no longer: third();",
    "src/b.ts has this more than once: return;",
    "src/b.ts:1: return;",
    "src/gone.ts is not there any longer",
  ]);
});
