import { BackupctlError } from "../errors.ts";

const UNITS = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"] as const;
const POWERS: Readonly<Record<string, number>> = { "": 0, k: 1, m: 2, g: 3, t: 4, p: 5 };

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

/**
 * Bytes as people write them: `500`, `1.5 GiB`, `64M`. `K`, `Ki` and `KiB` count 1024; only `KB`, `MB`, … count 1000.
 * @throws `USAGE`
 */
export function parseBytes(text: string): number {
  const match = /^(\d+(?:\.\d+)?)\s*([kmgtp]?)(i?b?)$/i.exec(text.trim());
  const prefix = match?.[2]?.toLowerCase() ?? "";
  const suffix = match?.[3]?.toLowerCase() ?? "";
  const base = suffix === "b" && prefix !== "" ? 1000 : 1024;
  const bytes = Math.round(Number(match?.[1]) * base ** (POWERS[prefix] ?? 0));
  if (match === null || (prefix === "" && suffix.startsWith("i")) || !Number.isSafeInteger(bytes)) {
    throw new BackupctlError("USAGE", `"${text}" is not a size`, {
      hint: "Write a number of bytes with a unit, e.g. 512MiB or 1.5GiB.",
    });
  }
  return bytes;
}

/** `12.3 MiB/s`; `-` where nothing was measured. */
export function formatRate(bytes: number, seconds: number): string {
  return seconds > 0 ? `${formatBytes(bytes / seconds)}/s` : "-";
}

/** How many times smaller the stored form is: `3.4x`; `-` where nothing was stored. */
export function formatRatio(rawBytes: number, storedBytes: number): string {
  return storedBytes > 0 && rawBytes > 0 ? `${(rawBytes / storedBytes).toFixed(1)}x` : "-";
}
