import { spawn } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { text } from "node:stream/consumers";

export interface Measurement {
  readonly seconds: number;
  /** User and system time of all processes that the script started. */
  readonly cpuSeconds: number;
  /** The most that all processes of the script had resident at one moment. */
  readonly peakMemoryBytes: number;
  /** How many cores other programs kept busy meanwhile. */
  readonly otherCores: number;
}

const SAMPLE_MS = 20;
const PAGE_BYTES = 4096;
const TICKS_PER_SECOND = 100;

/** Once aborted, what is being measured ends with all that it started, and nothing more is measured. */
export const interruption = new AbortController();

/** Runs a bash script with these variables alone added to the environment; it fails where any part of a pipe fails. */
export async function measure(script: string, variables: Readonly<Record<string, string>>): Promise<Measurement> {
  interruption.signal.throwIfAborted();
  const busyBefore = busySeconds();
  const started = performance.now();
  // `times` of the outer shell is what all processes below it used, also of those that ended long ago.
  const outer = '"$BASH" -euo pipefail -c "$1"; status=$?; times >&3; exit $status';
  const child = spawn("bash", ["-c", outer, "bash", script], {
    env: { ...process.env, ...variables },
    stdio: ["ignore", "ignore", "pipe", "pipe"],
    // A process group of its own, to be ended as a whole.
    detached: true,
  });
  const end = (): void => {
    if (child.pid !== undefined && child.exitCode === null) process.kill(-child.pid, "SIGTERM");
  };
  interruption.signal.addEventListener("abort", end);
  let peakMemoryBytes = 0;
  const sampler = setInterval(() => {
    peakMemoryBytes = Math.max(peakMemoryBytes, memoryBelow(child.pid));
  }, SAMPLE_MS);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.on("error", reject);
    child.on("close", resolve);
  });
  const [status, stderr, times] = await Promise.all([
    ended,
    text(child.stderr as NodeJS.ReadableStream),
    text(child.stdio[3] as NodeJS.ReadableStream),
  ]);
  clearInterval(sampler);
  interruption.signal.removeEventListener("abort", end);
  const seconds = (performance.now() - started) / 1000;
  if (status !== 0) throw new Error(`exit status ${status} of: ${script}\n${stderr}`);
  const cpuSeconds = childrenTime(times);
  const otherCores = Math.max(0, (busySeconds() - busyBefore - cpuSeconds) / seconds);
  return { seconds, cpuSeconds, peakMemoryBytes, otherCores };
}

/** The second line of `times`: user and system time of the children, as 1m2.345s. */
function childrenTime(times: string): number {
  const [, children = ""] = times.split("\n");
  let seconds = 0;
  for (const [, minutes, rest] of children.matchAll(/(\d+)m([\d.]+)s/g)) seconds += Number(minutes) * 60 + Number(rest);
  return seconds;
}

function busySeconds(): number {
  const [, user = 0, nice = 0, system = 0, , , irq = 0, softirq = 0] = readFileSync("/proc/stat", "utf8")
    .split("\n", 1)[0]!
    .split(/\s+/)
    .map(Number);
  return (user + nice + system + irq + softirq) / TICKS_PER_SECOND;
}

function memoryBelow(pid: number | undefined): number {
  if (pid === undefined) return 0;
  let bytes = 0;
  for (const child of childrenOf(pid)) bytes += residentBytes(child) + memoryBelow(child);
  return bytes;
}

function childrenOf(pid: number): number[] {
  return namesIn(`/proc/${pid}/task`).flatMap((thread) =>
    contentOf(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
}

function residentBytes(pid: number): number {
  return Number(contentOf(`/proc/${pid}/statm`).split(" ")[1] ?? 0) * PAGE_BYTES;
}

/** A process may end while it is looked at. */
function contentOf(file: string): string {
  try {
    return readFileSync(file, "latin1");
  } catch {
    return "";
  }
}

function namesIn(directory: string): string[] {
  try {
    return readdirSync(directory);
  } catch {
    return [];
  }
}
