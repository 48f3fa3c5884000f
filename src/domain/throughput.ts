const TELLING_BYTES = 1e6;

/** What earlier runs managed, or the usual where they moved too little: a run of almost nothing measures how long it takes to begin. */
export function bytesPerSecond(
  runs: readonly { readonly bytes: number; readonly seconds: number }[],
  usual: number,
): number {
  const bytes = runs.reduce((sum, run) => sum + run.bytes, 0);
  const seconds = runs.reduce((sum, run) => sum + run.seconds, 0);
  return bytes < TELLING_BYTES || seconds <= 0 ? usual : bytes / seconds;
}
