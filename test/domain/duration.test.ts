import { describe, expect, it } from "vitest";
import {
  addDuration,
  describeDuration,
  describeMs,
  durationMs,
  parseDuration,
  parseFiniteDuration,
  TIMEOUT_PATTERN,
} from "../../src/domain/duration.ts";

const at = (text: string) => new Date(text);

describe("durations", () => {
  it.each([
    ["30s", "30 seconds"],
    ["15m", "15 minutes"],
    ["24h", "24 hours"],
    [" 7D ", "7 days"],
    ["1w", "1 week"],
    ["12mo", "12 months"],
    ["1y", "1 year"],
    ["forever", "forever"],
  ])("%s is %s", (text, words) => {
    expect(describeDuration(parseDuration(text))).toBe(words);
  });

  it.each(["", "7", "d", "7 days", "-7d", "1.5h", "7x", "9999999d", "forever 7d", "7constructor"])(
    "%j is refused",
    (text) => {
      expect(() => parseDuration(text)).toThrow(
        expect.objectContaining({ code: "USAGE", hint: expect.stringContaining("12mo") }),
      );
    },
  );

  it("a finite duration can't be forever", () => {
    expect(() => parseFiniteDuration("forever")).toThrow(expect.objectContaining({ code: "USAGE" }));
  });

  it.each([
    ["2026-01-31T10:00:00Z", "1mo", 1, "2026-02-28T10:00:00.000Z"],
    ["2024-01-31T10:00:00Z", "1mo", 1, "2024-02-29T10:00:00.000Z"],
    ["2026-03-31T10:00:00Z", "1mo", -1, "2026-02-28T10:00:00.000Z"],
    ["2024-02-29T00:00:00Z", "1y", 1, "2025-02-28T00:00:00.000Z"],
    ["2026-01-15T00:00:00Z", "12mo", -1, "2025-01-15T00:00:00.000Z"],
    ["2026-12-31T23:59:59Z", "2d", 1, "2027-01-02T23:59:59.000Z"],
    ["2026-01-01T00:00:00Z", "15m", -1, "2025-12-31T23:45:00.000Z"],
  ] as const)("%s and %s (times %i) is %s", (start, duration, sign, expected) => {
    expect(addDuration(at(start), parseDuration(duration), sign)?.toISOString()).toBe(expected);
  });

  it("forever ends never", () => {
    expect(addDuration(at("2026-01-01T00:00:00Z"), "forever")).toBeUndefined();
    expect(durationMs("forever")).toBe(Number.POSITIVE_INFINITY);
  });
});

it.each([
  [0, "1 second"],
  [1_400, "1 second"],
  [119_400, "119 seconds"],
  [300_000, "5 minutes"],
  [5_400_000, "90 minutes"],
  [86_400_000, "24 hours"],
])("%i ms are told as %s", (ms, words) => {
  expect(describeMs(ms)).toBe(words);
});

it("a timeout that the configuration takes can be read, and is more than nothing", () => {
  const given = ["1s", "99999m", "100000h", "0s", "000s", "100001s", "999999h", "1d", "s"];

  const taken = given.filter((text) => TIMEOUT_PATTERN.test(text));

  expect(taken).toEqual(["1s", "99999m", "100000h"]);
  for (const text of taken) expect(durationMs(parseFiniteDuration(text))).toBeGreaterThan(0);
});
