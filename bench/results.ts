import type { Sample } from "./rounds.ts";
import type { StartupSamples } from "./startup.ts";

/** Flat: key to number. docs/benchmarks.md says what the keys mean. */
export type Results = Readonly<Record<string, number>>;

const METRICS = {
  seconds: (sample: Sample) => sample.seconds,
  cpu_seconds: (sample: Sample) => sample.cpuSeconds,
  bytes_per_second: (sample: Sample) => sample.bytes / sample.seconds,
  stored_bytes: (sample: Sample) => sample.storedBytes,
  peak_memory_bytes: (sample: Sample) => sample.peakMemoryBytes,
} as const;
export type Metric = keyof typeof METRICS;

const RATIOS: Readonly<Record<string, Metric>> = {
  time: "seconds",
  cpu: "cpu_seconds",
  stored: "stored_bytes",
  memory: "peak_memory_bytes",
};

const OURS = "backupctl";
const OURS_UNVERIFIED = "backupctl_no_verify";

export function median(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  const middle = Math.floor(sorted.length / 2);
  const [low = Number.NaN, high = Number.NaN] = [sorted[sorted.length % 2 === 0 ? middle - 1 : middle], sorted[middle]];
  return (low + high) / 2;
}

/** Medians over the rounds, then their ratios: above 1 backupctl is faster, or needs less. */
export function resultsOf(samples: readonly Sample[]): Results {
  const results: Record<string, number> = {};
  const groups = Map.groupBy(samples, ({ set, work, contender }) => `${set}.${work}.${contender}`);
  for (const [key, group] of groups) {
    for (const [metric, value] of Object.entries(METRICS)) results[`${key}.${metric}`] = median(group.map(value));
    results[`${group[0]!.set}.rounds`] = group.length;
  }
  for (const { set, work, contender } of [...groups.values()].map((group) => group[0]!)) {
    if (contender === OURS || contender === OURS_UNVERIFIED) continue;
    for (const [ratio, metric] of Object.entries(RATIOS)) {
      const theirs = results[`${set}.${work}.${contender}.${metric}`] ?? Number.NaN;
      const add = (key: string, ours: number | undefined): void => {
        if (ours !== undefined && ours > 0) results[key] = theirs / ours;
      };
      add(`${set}.${work}.${ratio}_vs_${contender}`, results[`${set}.${work}.${OURS}.${metric}`]);
      add(`${set}.${work}.no_verify.${ratio}_vs_${contender}`, results[`${set}.${work}.${OURS_UNVERIFIED}.${metric}`]);
    }
  }
  return results;
}

export function startupResultsOf(samples: StartupSamples, backups: number): Results {
  const results: Record<string, number> = { "startup.backups": backups };
  for (const [name, runs] of Object.entries(samples)) {
    results[`startup.${name}.seconds`] = median(runs.map(({ seconds }) => seconds));
    results[`startup.${name}.cpu_seconds`] = median(runs.map(({ cpuSeconds }) => cpuSeconds));
    results[`startup.${name}.peak_memory_bytes`] = median(runs.map(({ peakMemoryBytes }) => peakMemoryBytes));
  }
  return results;
}
