import { expect, it } from "vitest";
import { formatBytes, formatRate, formatRatio, parseSize } from "../../src/domain/size.ts";

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

it.each([
  ["0B", 0],
  ["1B", 1],
  ["10MB", 10_000_000],
  [" 10 MB ", 10_000_000],
  ["64kB", 64_000],
  ["64KB", 64_000],
  ["64KiB", 65_536],
  ["500GB", 500e9],
  ["1.5TiB", 1.5 * 2 ** 40],
  ["2PB", 2e15],
])("%s is %i bytes", (text, bytes) => {
  expect(parseSize(text)).toBe(bytes);
});

it.each([
  "",
  "10",
  "MB",
  "10Mb",
  "10mb",
  "10 Mbit",
  "-1MB",
  "1,5GB",
  "1e3MB",
  "10iB",
  "1.23456GB",
  "10MB/s",
  "9999999999MB",
])("%j is not a size, and the error says how to write one", (text) => {
  expect(() => parseSize(text)).toThrow(
    expect.objectContaining({ code: "USAGE", hint: expect.stringContaining("500GB") }),
  );
});

it("shows rates and ratios, and a dash where nothing was measured", () => {
  expect(formatRate(10 * 2 ** 20, 2)).toBe("5.0 MiB/s");
  expect(formatRate(10, 0)).toBe("-");
  expect(formatRatio(3400, 1000)).toBe("3.4x");
  expect(formatRatio(0, 0)).toBe("-");
});
