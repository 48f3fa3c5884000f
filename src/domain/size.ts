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
