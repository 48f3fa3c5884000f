import { runToolSync } from "../process.ts";
import type { BytePath } from "../walk.ts";

/** A time to set on an entry, symlinks themselves included. `name` is relative to the root. */
export interface ExactTime {
  readonly name: BytePath;
  readonly mtimeNs: bigint;
}

/**
 * Node sets file times as floating-point seconds, which is up to 240 ns off. Python has a call with whole nanoseconds: one
 * process for a batch of names, each reached from the root through open directories, never through a symlink.
 */
const SCRIPT = `
import os, sys
fields = sys.stdin.buffer.read().split(b"\\0")
root = os.open(fields[0], os.O_RDONLY | os.O_DIRECTORY)
flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
held, held_path, failed = root, b"", 0
for i in range(1, len(fields) - 2, 2):
    parent, _, name = fields[i].rpartition(b"/")
    try:
        if parent != held_path:
            if held != root:
                os.close(held)
            held, held_path = root, b""
            for member in parent.split(b"/") if parent else []:
                step = os.open(member, flags, dir_fd=held)
                if held != root:
                    os.close(held)
                held = step
            held_path = parent
        ns = int(fields[i + 1])
        os.utime(name, ns=(ns, ns), dir_fd=held, follow_symlinks=False)
    except OSError:
        if held_path != parent and held != root:
            os.close(held)
            held, held_path = root, b""
        failed += 1
print(failed)
`;

/** True where Node's own call already was exact. */
export function isWholeSeconds(mtimeNs: bigint): boolean {
  return mtimeNs % 1_000_000_000n === 0n;
}

/** Returns how many times could not be set; all of them where there is no python3. */
export function setExactTimes(root: string, times: readonly ExactTime[]): number {
  if (times.length === 0) return 0;
  const fields = [Buffer.from(`${root}\0`, "utf8")];
  for (const { name, mtimeNs } of times) fields.push(Buffer.from(`${name}\0${mtimeNs}\0`, "latin1"));
  const answer = runToolSync({ command: "python3", args: ["-I", "-S", "-c", SCRIPT], input: Buffer.concat(fields) });
  const failed = answer?.exitCode === 0 ? Number.parseInt(answer.stdout.toString("latin1"), 10) : Number.NaN;
  return Number.isNaN(failed) ? times.length : failed;
}
