import { describe, expect, it } from "vitest";
import {
  type RestoreStage,
  statusOfFailed,
  type UnfinishedRestore,
  unfinishedMark,
  unfinishedWarning,
  unsaidAfterBackup,
  unsaidAfterRestore,
} from "../../src/domain/unfinished-restore.ts";

const ALL = ["one", "two"];

/** Of `one` and `two`, or of the first alone. */
function died(stages: readonly RestoreStage[], target = "in place"): UnfinishedRestore {
  const places = stages.map((stage, i) => {
    const source = ALL[i] ?? "";
    return { source, place: `/${source}`, stage, marked: false };
  });
  return { at: "T", target, status: "running", places };
}

const MIXED = "may be neither old nor new";
const ROWS = [
  { stages: ["beside"], says: "died: nothing came to its place", mark: false },
  { stages: ["beside", "beside"], says: "died: nothing came to its place", mark: false },
  { stages: ["come", "come"], says: "died when all of it had come to its place", mark: false },
  { stages: ["coming"], says: `${MIXED}: one may hold some of the backup and some of what was there`, mark: true },
  { stages: ["come", "beside"], says: `${MIXED}: one is the backup's, two is as it was`, mark: true },
  { stages: ["come", "coming"], says: `${MIXED}: one is the backup's, two may hold some of the`, mark: true },
  { stages: ["coming", "beside"], says: `${MIXED}: one may hold some of the backup`, mark: true },
] as const;

describe("a restore that died", () => {
  it.each(ROWS)("with $stages says what is there", ({ stages, says, mark }) => {
    expect(unfinishedWarning(died(stages))).toContain(says);
    if (mark) expect(unfinishedMark(died(stages), ["one"])).toContain(says);
    else expect(unfinishedMark(died(stages), ["one"])).toBeUndefined();
    expect(unsaidAfterBackup(died(stages), [], ALL)).toHaveLength(mark ? stages.length : 0);
  });

  it("names its sources, its target and its beginning, and what helps", () => {
    expect(unfinishedWarning(died(["coming", "beside"]))).toMatch(
      /^a restore of one, two \(in place\) that began at T died, and .*\. Restore it again, from a backup made before that time$/,
    );
    expect(unfinishedWarning(died(["coming"], "/tmp/look"))).toMatch(
      /^a restore of one \(\/tmp\/look\) .*\. Restore it again$/,
    );
  });

  it("elsewhere is no matter of a backup's", () => {
    expect(unfinishedMark(died(["coming"], "/tmp/look"), ALL)).toBeUndefined();
    expect(unsaidAfterBackup(died(["coming"], "/tmp/look"), [], ALL)).toEqual([]);
  });

  it("is no matter of a backup's that holds nothing of it", () => {
    expect(unfinishedMark(died(["coming"]), ["three"])).toBeUndefined();
  });

  it("stays to be said until each source of the config is in a backup that says so", () => {
    const first = died(["come", "beside"]);

    const second = { ...first, places: unsaidAfterBackup(first, ["one"], ALL) };

    expect(unfinishedMark(second, ALL)).toContain("one is the backup's, two is as it was");
    expect(unsaidAfterBackup(second, ["two"], ALL)).toEqual([]);
    expect(unsaidAfterBackup(second, [], ["one"])).toEqual([]);
  });

  it("and one that failed are told apart", () => {
    const failed: UnfinishedRestore = { ...died(["coming"]), status: "mixed" };

    expect(unfinishedWarning(failed)).toMatch(
      /^a restore of one \(in place\) that began at T failed, and .* neither old nor new/,
    );
    expect(unfinishedMark(failed, ["one"])).toMatch(/^a restore that began at T failed, so this may be neither/);
  });

  it("is done with when another one came to the places that were not as they should be", () => {
    expect(unsaidAfterRestore(died(["coming"]), ["/one"])).toEqual([]);
    expect(unsaidAfterRestore(died(["coming"]), ["/elsewhere"])).toHaveLength(1);
    expect(unsaidAfterRestore(died(["come", "beside"]), ["/two"])).toEqual([]);
    expect(unsaidAfterRestore(died(["coming", "beside"]), ["/two"])).toMatchObject([{ source: "one" }]);
    expect(unsaidAfterRestore(died(["beside"]), [])).toHaveLength(1);
  });
});

it.each([
  { stages: ["coming"], is: "mixed" },
  { stages: ["come", "beside"], is: "mixed" },
  { stages: ["beside", "beside"], is: "failed" },
] as const)("a restore in place that failed with $stages is $is, and elsewhere failed", ({ stages, is }) => {
  expect(statusOfFailed(died(stages))).toBe(is);
  expect(statusOfFailed(died(stages, "/tmp/look"))).toBe("failed");
});
