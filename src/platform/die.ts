import { writeSync } from "node:fs";
import { isatty } from "node:tty";

/** Ends this process at once, as if nobody listened to the signal: `process.exit` waits for threads, and one may wait for a file for ever. */
export function dieOf(signal: "SIGINT" | "SIGTERM"): void {
  // The line of progress hides it.
  if (isatty(2)) writeSync(2, "\x1b[?25h");
  process.removeAllListeners(signal);
  process.kill(process.pid, signal);
}
