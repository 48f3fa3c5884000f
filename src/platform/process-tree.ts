import type { ChildProcess } from "node:child_process";
import * as fs from "node:fs";

/** Asks a program to end, and whatever it started: itself first, since a shell would go on with its next command. */
export function endWithDescendants(child: ChildProcess): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return;
  const descendants = descendantsOf(child.pid);
  child.kill();
  for (const pid of descendants) {
    try {
      process.kill(pid);
    } catch {
      // It has ended meanwhile, or is another user's.
    }
  }
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
