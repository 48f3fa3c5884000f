import { BackupctlError } from "../errors.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;

/** For people, in binary units: `0 B`, `512 B`, `1.2 GiB`, `340 MiB`. */
export function formatBytes(bytes: number): string {
  if (bytes < 1024) return `${Math.round(bytes)} B`;
  let value = bytes;
  let unit = 0;
  // 1023.95 and more would print as 1024 of the smaller unit.
  while (value >= 1023.95 && unit < UNITS.length - 1) {
    value /= 1024;
    unit += 1;
  }
  return `${value < 99.95 ? value.toFixed(1) : value.toFixed(0)} ${UNITS[unit]}`;
}

/** `12.3 MiB/s`; `-` where nothing was measured. */
export function formatRate(bytes: number, seconds: number): string {
  return seconds > 0 ? `${formatBytes(bytes / seconds)}/s` : "-";
}

/** How many times smaller the stored form is: `3.4x`; `-` where nothing was stored. */
export function formatRatio(rawBytes: number, storedBytes: number): string {
  return storedBytes > 0 && rawBytes > 0 ? `${(rawBytes / storedBytes).toFixed(1)}x` : "-";
}

const SIZE_PATTERN = /^(\d{1,9}(?:\.\d{1,3})?) ?([kKMGTP]?)(i?)B$/;
const PREFIXES = "kMGTP";

/** A small b would be bits in the words of those who sell lines. */
export const SIZE_HINT =
  "Write a number and a unit, such as 500GB or 1.5TiB: kB to PB are powers of 1000, KiB to PiB of 1024.";

/** Bytes of a size as people write it: `500GB`, `1.5TiB`. @throws `USAGE` if the text is not one. */
export function parseSize(text: string): number {
  const [, amount, prefix = "", binary] = SIZE_PATTERN.exec(text.trim()) ?? [];
  if (amount === undefined || (prefix === "" && binary !== "")) {
    throw new BackupctlError("USAGE", `"${text}" is not a size`, { hint: SIZE_HINT });
  }
  const power = prefix === "" ? 0 : PREFIXES.indexOf(prefix === "K" ? "k" : prefix) + 1;
  return Math.round(Number(amount) * (binary === "" ? 1000 : 1024) ** power);
}
