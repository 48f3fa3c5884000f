import { expect, it } from "vitest";
import { bytesPerSecond } from "../../src/domain/throughput.ts";

it.each([
  ["no run yet", [], 100],
  ["runs of almost nothing", [{ bytes: 5, seconds: 2 }], 100],
  ["runs that took no time", [{ bytes: 5e6, seconds: 0 }], 100],
  [
    "runs that moved enough, small ones beside them",
    [
      { bytes: 9_999_995, seconds: 3 },
      { bytes: 5, seconds: 2 },
    ],
    2e6,
  ],
])("%s", (_, runs, expected) => {
  expect(bytesPerSecond(runs, 100)).toBe(expected);
});
