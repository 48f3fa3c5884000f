import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";
import { setTimeout } from "node:timers/promises";

const LOOK_EVERY_MS = 20;
const KILL_AFTER_MS = 5_000;

/**
 * Asks a program to end, and whatever it started: itself first, since a shell would go on with its next command. Who has not ended
 * after 5 s is killed. Resolves when none of them runs any more, and the program's own end was seen.
 */
export async function endWithDescendants(child: ChildProcess): Promise<void> {
  // The number of one that has ended may be somebody else's by now.
  if (child.pid === undefined || hasEnded(child)) return;
  const descendants = descendantsOf(child.pid);
  const left = (): readonly number[] => [
    ...(child.pid === undefined || hasEnded(child) ? [] : [child.pid]),
    ...descendants.filter(isRunning),
  ];
  for (const pid of [child.pid, ...descendants]) send(pid, "SIGTERM");
  for (let waitedMs = 0; left().length > 0; waitedMs += LOOK_EVERY_MS) {
    if (waitedMs >= KILL_AFTER_MS) for (const pid of left()) send(pid, "SIGKILL");
    await setTimeout(LOOK_EVERY_MS);
  }
}

function hasEnded({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode !== null || signalCode !== null;
}

function send(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(pid, signal);
  } catch {
    // It has ended meanwhile, or is another user's.
  }
}

/** Somebody else's can't be ended, and is not waited for; one that has ended and that nobody has collected yet does not run. */
function isRunning(pid: number): boolean {
  try {
    process.kill(pid, 0);
  } catch {
    return false;
  }
  const stat = readIfExists(`/proc/${pid}/stat`);
  // The name before the state may hold anything, parentheses too (proc(5)).
  return stat !== "" && !["Z", "X"].includes(stat.charAt(stat.lastIndexOf(")") + 2));
}

/** None where the system can't tell them: only Linux lists a thread's children (proc(5), `/proc/PID/task/TID/children`). */
function descendantsOf(pid: number): readonly number[] {
  const children = threadsOf(pid).flatMap((thread) =>
    readIfExists(`/proc/${pid}/task/${thread}/children`).split(" ").filter(Boolean).map(Number),
  );
  return children.flatMap((child) => [child, ...descendantsOf(child)]);
}

function threadsOf(pid: number): readonly string[] {
  try {
    return fs.readdirSync(`/proc/${pid}/task`);
  } catch {
    return [];
  }
}

function readIfExists(file: string): string {
  try {
    return fs.readFileSync(file, "utf8");
  } catch {
    return "";
  }
}
