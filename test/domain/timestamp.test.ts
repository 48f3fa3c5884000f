import { describe, expect, it } from "vitest";
import { formatInstant, formatSpan, parseInstant, parseTimeRange } from "../../src/domain/timestamp.ts";

describe("a point in time", () => {
  it.each([
    ["2026-01-11T10:30:00Z", "2026-01-11T10:30:00.000Z"],
    ["2026-01-11t10:30:00z", "2026-01-11T10:30:00.000Z"],
    ["2026-01-11 10:30+02:00", "2026-01-11T08:30:00.000Z"],
    ["2026-01-11T10:30:00.123456789-0530", "2026-01-11T16:00:00.123Z"],
    ["2026-01-11T10:30:00 +02", "2026-01-11T08:30:00.000Z"],
    ["2028-02-29T00:00:00Z", "2028-02-29T00:00:00.000Z"],
  ])("is read from %s", (text, iso) => {
    expect(parseInstant(text).toISOString()).toBe(iso);
  });

  it.each(["2026-01-11T10:30:00", "2026-01-11 10:30"])("without a zone is refused: %s", (text) => {
    expect(() => parseInstant(text)).toThrow(
      expect.objectContaining({
        code: "USAGE",
        message: expect.stringContaining("has no time zone"),
        hint: expect.stringContaining(`${text}Z`),
      }),
    );
  });

  it.each([
    "yesterday",
    "2026-01-11",
    "2026-02-30T00:00:00Z",
    "2026-01-11T24:00:00Z",
    "2026-01-11T10:60:00Z",
    "2026-13-01T00:00:00Z",
    "2026-01-11T10:30:00+25:00",
    "",
  ])("is not %j", (text) => {
    expect(() => parseInstant(text, "--point-in-time")).toThrow(
      expect.objectContaining({ code: "USAGE", message: expect.stringContaining("--point-in-time") }),
    );
  });
});

describe("--from and --to", () => {
  const context = { timezone: "Europe/Berlin", now: new Date("2026-01-12T10:00:00.000Z") };

  it.each([
    [
      { from: "2026-01-01", to: "2026-01-11" },
      { from: "2025-12-31T23:00:00.000Z", to: "2026-01-11T23:00:00.000Z" },
    ],
    [
      { from: "2026-01-11", to: "2026-01-11" },
      { from: "2026-01-10T23:00:00.000Z", to: "2026-01-11T23:00:00.000Z" },
    ],
    [{ from: "2026-01-11T10:30:00Z" }, { from: "2026-01-11T10:30:00.000Z" }],
    [{ to: "2026-01-11 10:30" }, { to: "2026-01-11T09:30:00.000Z" }],
    [{ from: "24h" }, { from: "2026-01-11T10:00:00.000Z" }],
    [
      { from: "7d", to: "1d" },
      { from: "2026-01-05T10:00:00.000Z", to: "2026-01-11T10:00:00.000Z" },
    ],
    [{}, {}],
  ])("%j mean %j", (range, expected) => {
    expect(parseTimeRange(range, context)).toEqual(expected);
  });

  it.each([
    ["2026-01-13", "2026-01-11"],
    ["2026-01-12", "2026-01-11"],
    ["1h", "1h"],
  ])("refuse --from %s with --to %s, between which nothing can be", (from, to) => {
    expect(() => parseTimeRange({ from, to }, context)).toThrow(
      expect.objectContaining({ code: "USAGE", message: `--from "${from}" is not before --to "${to}"` }),
    );
  });

  it.each(["soon", "forever", "-3d", "2026-02-30", ""])("refuse %j", (text) => {
    expect(() => parseTimeRange({ from: text }, context)).toThrow(
      expect.objectContaining({ code: "USAGE", message: expect.stringContaining("--from") }),
    );
  });
});

it("shows an instant in the zone of the reader", () => {
  const at = new Date("2026-01-11T02:03:04.567Z");

  expect(formatInstant(at)).toBe("2026-01-11 02:03:04 UTC");
  expect(formatInstant(at, "Europe/Berlin")).toBe("2026-01-11 03:03:04 (Europe/Berlin)");
});

it("shows a span in its largest whole unit", () => {
  expect([0, 1_500, 90_000, 86_400_000].map(formatSpan)).toEqual(["0 seconds", "1 second", "1 minute", "1 day"]);
});
