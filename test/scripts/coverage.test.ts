import { expect, test } from "vitest";
import { type CoverageInput, judgeCoverage } from "../../scripts/coverage-rules.ts";

const TEXT = `  first();
  second(
    2,
  );
  if (wrong) throw refusal;
  third(one ?? other);
  if (!isExpected(error)) throw error;
`;

type Place = readonly [line: number, column: number];
const THROW: Place = [5, 13];
const PASS_ON: Place = [7, 26];

/** A file in which statements begin at these places. Those of `missed` never ran; an `if` without `else` there was always true. */
function fileOf(statements: readonly Place[], missed: readonly Place[], ifs: readonly Place[] = []) {
  const at = ([line, column]: Place) => ({ start: { line, column } });
  const isMissed = (place: Place) => missed.some((other) => String(other) === String(place));
  const branch = (place: Place) => ({ type: "if", loc: at(place), locations: [at(place), { start: {} }] });
  const coverage: CoverageInput["files"][string]["coverage"] = {
    statementMap: Object.fromEntries(statements.map((place, i) => [`${i}`, at(place)])),
    s: Object.fromEntries(statements.map((place, i) => [`${i}`, isMissed(place) ? 0 : 2])),
    branchMap: Object.fromEntries(ifs.map((place, i) => [`${i}`, branch(place)])),
    b: Object.fromEntries(ifs.map((place, i) => [`${i}`, [2, isMissed(place) ? 0 : 2]])),
  };
  return { text: TEXT, coverage };
}

test("what no test runs is named, the second half of a line as well, unless somebody decided so", () => {
  const statements: readonly Place[] = [[1, 2], [2, 2], [5, 2], THROW, [6, 2]];

  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(statements, [[1, 2], [2, 2], THROW]) },
    decided: { "only on another system": { "src/a.ts": ["first();"] } },
  });

  expect(report).toEqual({ parts: 5, covered: 2, problems: ["src/a.ts:2: second(", "src/a.ts:5: throw refusal;"] });
});

test("a condition that was true in all tests is named", () => {
  const report = judgeCoverage({ files: { "src/a.ts": fileOf([], [[5, 2]], [[5, 2]]) }, decided: {} });

  const problems = ["src/a.ts:5: never passed over: if (wrong) throw refusal;"];
  expect(report).toEqual({ parts: 1, covered: 0, problems });
});

test("a line that counts as a whole is covered by any of its statements", () => {
  const file = fileOf([[1, 2], [5, 2], THROW], [[1, 2], THROW], [[5, 2]]);

  const report = judgeCoverage({ files: { "src/a.ts": { ...file, byLine: true } }, decided: {} });

  expect(report).toEqual({ parts: 2, covered: 1, problems: ["src/a.ts:1: first();"] });
});

test("what a thread ran counts, by the innermost range", () => {
  const missed: readonly Place[] = [[1, 2], [5, 2], THROW];
  const range = (startOffset: number, endOffset: number, count: number) => ({ startOffset, endOffset, count });
  const thrown = TEXT.indexOf("throw refusal");
  const threads = [{ functions: [{ ranges: [range(0, TEXT.length, 3), range(thrown, thrown + 14, 0)] }] }];

  const report = judgeCoverage({
    files: { "src/a.ts": { ...fileOf(missed, missed, [[5, 2]]), threads } },
    decided: {},
  });

  expect(report).toEqual({ parts: 4, covered: 3, problems: ["src/a.ts:5: throw refusal;"] });
});

test("a catch need not meet what it passes on, but must be reached", () => {
  const passed = fileOf([[7, 2], PASS_ON], [PASS_ON]);
  const neverReached = fileOf([[7, 2], PASS_ON], [[7, 2], PASS_ON]);

  const { problems } = judgeCoverage({ files: { "src/a.ts": passed, "src/b.ts": neverReached }, decided: {} });

  expect(problems).toEqual(["src/b.ts:7: if (!isExpected(error)) throw error;"]);
});

test("an excerpt decides about all that begins in it, whatever line that is on, and about nothing beside it", () => {
  const missed: readonly Place[] = [
    [2, 2],
    [3, 4],
    [6, 8],
    [6, 12],
  ];
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf(missed, missed) },
    decided: { reason: { "src/a.ts": ["second( 2", "?? other"] } },
  });

  expect(report.problems).toEqual(["src/a.ts:6: one ?? other);"]);
});

test("a decision about what is not there, or not only there, is named", () => {
  const report = judgeCoverage({
    files: { "src/a.ts": fileOf([], []) },
    decided: { reason: { "src/a.ts": ["fourth();", "error", "); if (wrong)"], "src/gone.ts": ["x();"] } },
  });

  expect(report.problems).toEqual([
    "src/a.ts has this no longer: fourth();",
    "src/a.ts has this more than once: error",
    "src/gone.ts is not there any longer",
  ]);
});
