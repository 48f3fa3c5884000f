import { type FedTool, feedTool } from "../process.ts";
import type { BytePath } from "../walk.ts";

/** Directories, of the path of one name: there is no limit to its depth, but to open files. */
const HELD_AT_MOST = 64;

/**
 * Node sets file times as floating-point seconds, which is up to 240 ns off. Python has a call with whole nanoseconds: one
 * process, which sets the times of names as they come, each reached from the root through open directories, never through a symlink.
 */
const SCRIPT = `
import os, sys
def fields():
    rest = b""
    while piece := sys.stdin.buffer.read1(65536):
        *whole, rest = (rest + piece).split(b"\\0")
        yield from whole
given = fields()
root = os.open(next(given), os.O_RDONLY | os.O_DIRECTORY)
flags = getattr(os, "O_PATH", os.O_RDONLY) | os.O_DIRECTORY | os.O_NOFOLLOW
held, names, done = [root], [], 0
for path in given:
    ns = int(next(given))
    *parents, name = path.split(b"/")
    shared = 0
    while shared < min(len(parents), len(names)) and parents[shared] == names[shared]:
        shared += 1
    if held[shared] is None:
        shared = 0
    for fd in held[shared + 1:]:
        if fd is not None:
            os.close(fd)
    del held[shared + 1:], names[shared:]
    try:
        for member in parents[shared:]:
            held.append(os.open(member, flags, dir_fd=held[-1]))
            names.append(member)
            if len(held) > ${HELD_AT_MOST}:
                os.close(held[-${HELD_AT_MOST}])
                held[-${HELD_AT_MOST}] = None
        os.utime(name, ns=(ns, ns), dir_fd=held[-1], follow_symlinks=False)
        done += 1
    except OSError:
        pass
print(done)
`;

const BATCH_CHARACTERS = 32 * 1024;

/** Sets times of entries below a root, symlinks themselves included, beside whatever else is done. */
export class ExactTimes {
  readonly #root: string;
  #helper: FedTool | undefined;
  #batch = "";
  #given = 0;
  #room: Promise<unknown> = Promise.resolve();

  /** @param root an absolute path */
  constructor(root: string) {
    this.#root = root;
  }

  /** @param name relative to the root */
  add(name: BytePath, mtimeNs: bigint): void {
    if (isWholeSeconds(mtimeNs)) return;
    this.#given++;
    this.#batch += `${name}\0${mtimeNs}\0`;
    if (this.#helper === undefined || this.#batch.length >= BATCH_CHARACTERS) this.#give();
  }

  /** Resolves when so few wait for the helper that more may come. */
  room(): Promise<unknown> {
    return this.#room;
  }

  /** Resolves when all are set, with the number of those that could not be: all of them where there is no python3. */
  async settle(): Promise<number> {
    if (this.#helper === undefined) return 0;
    this.#give();
    const answer = await this.#helper.finish();
    const done = answer?.exitCode === 0 ? Number.parseInt(answer.stdout.toString("latin1"), 10) : 0;
    const failed = this.#given - done;
    this.#helper = undefined;
    this.#given = 0;
    return failed;
  }

  /** Sets no more. */
  close(): void {
    this.#helper?.kill();
    this.#helper = undefined;
  }

  #give(): void {
    if (this.#helper === undefined) {
      this.#helper = feedTool({ command: "python3", args: ["-I", "-S", "-c", SCRIPT] });
      void this.#helper.give(Buffer.from(`${this.#root}\0`, "utf8"));
    }
    this.#room = this.#helper.give(Buffer.from(this.#batch, "latin1"));
    this.#batch = "";
  }
}

/** True where Node's own call already was exact. */
function isWholeSeconds(mtimeNs: bigint): boolean {
  return mtimeNs % 1_000_000_000n === 0n;
}
