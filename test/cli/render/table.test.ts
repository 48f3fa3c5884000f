import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { createLook, good, type Look } from "../../../src/cli/render/look.ts";
import { colourLevel, loadPaint, plainPaint } from "../../../src/cli/render/paint.ts";
import { progressLine } from "../../../src/cli/render/progress-line.ts";
import { type Column, renderTable } from "../../../src/cli/render/table.ts";
import { displayWidth, shorten, shortenMiddle, wrap } from "../../../src/cli/render/width.ts";
import { printable } from "../../../src/platform/redact.ts";
import { NOW, progress } from "../fakes.ts";

function look(columns: number, paint = plainPaint): Look {
  return createLook({ columns, isTerminal: true, paint, clean: printable, now: () => NOW, timezone: () => "UTC" });
}

interface Row {
  readonly name: string;
  readonly state: string;
  readonly note: string;
}

const columns: readonly Column<Row>[] = [
  { title: "Name", rank: 0, shrinkTo: 6, cell: ({ name }) => name },
  { title: "State", rank: 0, cell: ({ state }) => good(state) },
  { title: "Note", rank: 1, shrinkTo: 8, cell: ({ note }) => note },
];
const rows: readonly Row[] = [
  { name: "a name of some length", state: "ok", note: "日本語のとても長い説明" },
  { name: "b", state: "broken", note: "" },
];

describe("a table", () => {
  test("shows everything where there is room, without trailing spaces", async () => {
    expect(await renderTable(look(Number.POSITIVE_INFINITY), columns, rows)).toBe(
      [
        "Name                   State   Note",
        "a name of some length  ok      日本語のとても長い説明",
        "b                      broken",
      ].join("\n"),
    );
  });

  test("shortens, then leaves out what matters least", async () => {
    expect(await renderTable(look(40), columns, rows)).toContain("…");
    expect(await renderTable(look(20), columns, rows)).not.toContain("Note");
  });

  test.each([20, 24, 31, 40, 63])("is never wider than %i columns", async (width) => {
    const text = await renderTable(look(width), columns, rows);

    for (const line of text.split("\n")) expect(displayWidth(line)).toBeLessThanOrEqual(width);
    expect(text.split("\n")).toHaveLength(3);
  });

  test("has no column that says nothing in any row", async () => {
    const empty = rows.map((row) => ({ ...row, note: "" }));

    expect(await renderTable(look(80), columns, empty)).not.toContain("Note");
  });

  test("stays aligned in colour", async () => {
    const paint = await loadPaint({ wanted: true, isTerminal: true, env: { FORCE_COLOR: "1" } });
    const coloured = await renderTable(look(80, paint), columns, rows);

    expect(coloured).toContain("\u001b[32mok\u001b[39m");
    expect(coloured.split("\n").map(displayWidth)).toEqual(
      (await renderTable(look(80), columns, rows)).split("\n").map(displayWidth),
    );
  });
});

describe("colour", () => {
  test.each<[object, number]>([
    [{ wanted: true, isTerminal: true, env: {} }, 1],
    [{ wanted: true, isTerminal: false, env: {} }, 0],
    [{ wanted: true, isTerminal: true, env: { TERM: "dumb" } }, 0],
    [{ wanted: true, isTerminal: true, env: { NO_COLOR: "1" } }, 0],
    [{ wanted: true, isTerminal: true, env: { NO_COLOR: "" } }, 1],
    [{ wanted: true, isTerminal: false, env: { FORCE_COLOR: "1" } }, 1],
    [{ wanted: true, isTerminal: false, env: { FORCE_COLOR: "3" } }, 3],
    [{ wanted: true, isTerminal: true, env: { FORCE_COLOR: "0" } }, 0],
    [{ wanted: true, isTerminal: true, env: { FORCE_COLOR: "1", NO_COLOR: "1" } }, 0],
    [{ wanted: false, isTerminal: true, env: { FORCE_COLOR: "1" } }, 0],
  ])("%j has level %i", (question, level) => {
    expect(colourLevel({ wanted: true, isTerminal: true, env: {}, ...question })).toBe(level);
  });
});

describe("the progress line", () => {
  test("has phase, percent, bytes, speed, time left and the current item", () => {
    expect(progressLine(progress, 160)).toBe(
      "backing up files  65 %  3.3 GiB of 5.0 GiB  2.0 MiB/s  15 min 45 s left  /data/uploads/bot-123/documents/large-file.pdf",
    );
  });

  test("cuts the item in the middle, then leaves facts out", () => {
    expect(progressLine(progress, 100)).toMatch(/left {2}\/data.*….*file\.pdf$/);
    expect(progressLine(progress, 30)).toBe("backing up files  65 %");
  });

  test("fits whatever width there is, and whatever the item is called", () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 200 }), fc.string({ unit: "grapheme" }), (width, activity) => {
        expect(displayWidth(progressLine({ ...progress, activity: printable(activity) }, width))).toBeLessThanOrEqual(
          width,
        );
      }),
    );
  });

  test("says what is known where totals are not", () => {
    const unknown = {
      ...progress,
      ...{ percent: undefined, bytesTotal: undefined, bytesPerSecond: undefined, secondsRemaining: undefined },
      activity: undefined,
    };

    expect(progressLine(unknown, 80)).toBe("backing up files  3.3 GiB");
  });
});

describe("widths", () => {
  test.each([
    ["abc", 3],
    ["日本", 4],
    ["é", 1],
    ["e\u0301", 1],
    ["👩‍👩‍👧", 2],
    ["\u001b[31mred\u001b[39m", 3],
  ])("%j takes %i columns", (text, width) => {
    expect(displayWidth(text)).toBe(width);
  });

  test("what is shortened fits", () => {
    fc.assert(
      fc.property(fc.string({ unit: "grapheme" }), fc.integer({ min: 1, max: 30 }), (text, width) => {
        const clean = printable(text);
        expect(displayWidth(shorten(clean, width))).toBeLessThanOrEqual(width);
        expect(displayWidth(shortenMiddle(clean, width))).toBeLessThanOrEqual(width);
      }),
    );
  });

  test("wrapped lines fit, words stay whole", () => {
    expect(wrap("one two three four", 9)).toBe("one two\nthree\nfour");
  });
});
