import { expect, it } from "vitest";
import { formatBytes, formatRate, formatRatio } from "../../src/domain/size.ts";

it.each([
  [0, "0 B"],
  [1023, "1023 B"],
  [1024, "1.0 KiB"],
  [1_288_490_189, "1.2 GiB"],
  [356_515_840, "340 MiB"],
  [1_048_575, "1.0 MiB"],
  [104_857_600, "100 MiB"],
  [2 ** 50, "1.0 PiB"],
  [2 ** 53, "8.0 PiB"],
])("%i bytes are shown as %s", (bytes, text) => {
  expect(formatBytes(bytes)).toBe(text);
});

it("shows rates and ratios, and a dash where nothing was measured", () => {
  expect(formatRate(10 * 2 ** 20, 2)).toBe("5.0 MiB/s");
  expect(formatRate(10, 0)).toBe("-");
  expect(formatRatio(3400, 1000)).toBe("3.4x");
  expect(formatRatio(0, 0)).toBe("-");
});
