import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import type { Contender, Work } from "./contenders.ts";
import { bytesBelow, type FileSize, filesBelow, sumOf } from "./folders.ts";
import { type Measurement, measure } from "./measure.ts";
import { type Scratch, touchMemory } from "./scratch.ts";

/** What all contenders back up. */
export interface Subject {
  readonly set: string;
  readonly works: readonly Work[];
  readonly bytes: number;
  /** $DATA, $ONE or $DUMP. */
  readonly variables: Readonly<Record<string, string>>;
  /** Called before and after the works that see changed data. */
  readonly change?: () => Promise<void> | void;
  readonly restoreChange?: () => Promise<void> | void;
  /** The size of $ONE. */
  readonly oneBytes?: number;
}

export interface Sample extends Measurement {
  readonly set: string;
  readonly work: Work;
  readonly contender: string;
  /** By how much the repository grew; of a restore, what the files take on the disk. */
  readonly storedBytes: number;
  /** What was backed up, restored or verified. */
  readonly bytes: number;
}

const BEFORE_CHANGE: readonly Work[] = ["first", "unchanged"];
const AFTER_CHANGE: readonly Work[] = ["changed", "restore", "one", "verify"];

export interface RoundFolders {
  readonly folder: string;
  /** Made anew for each restore; without it they go to the round's folder and stay to its end. */
  readonly restores?: Scratch | undefined;
}

/**
 * One round: every contender in turn makes its first backup and one of the same data, then the data change, and every contender
 * does the rest. The caller rotates the contenders, so that nobody always follows the same one, and removes the folder.
 */
export async function runRound(
  subject: Subject,
  contenders: readonly Contender[],
  { folder, restores }: RoundFolders,
  tell: (sample: Sample) => void,
): Promise<void> {
  const places = contenders.map((contender) => new Place(subject, contender, folder, restores));
  const all = async (works: readonly Work[]): Promise<void> => {
    for (const place of places) {
      for (const work of works.filter((it) => subject.works.includes(it))) {
        const sample = await place.run(work);
        if (sample !== undefined) tell(sample);
      }
    }
  };
  for (const place of places) await place.prepare();
  await all(BEFORE_CHANGE);
  await subject.change?.();
  try {
    await all(AFTER_CHANGE);
  } finally {
    await subject.restoreChange?.();
  }
}

function isRestore(work: Work): boolean {
  return work === "restore" || work === "one";
}

function readIntoMemory(folder: string | undefined): void {
  if (folder !== undefined)
    execFileSync("find", [folder, "-type", "f", "-exec", "cat", "{}", "+"], { stdio: "ignore" });
}

class Place {
  readonly #subject: Subject;
  readonly #contender: Contender;
  readonly #state: string;
  readonly #repository: string;
  readonly #place: string;
  readonly #restores: Scratch | undefined;

  constructor(subject: Subject, contender: Contender, folder: string, restores: Scratch | undefined) {
    this.#restores = restores;
    this.#subject = subject;
    this.#contender = contender;
    this.#state = join(folder, contender.key, "state");
    this.#repository = join(folder, contender.key, "repository");
    this.#place = join(folder, contender.key);
    mkdirSync(this.#state, { recursive: true });
    mkdirSync(this.#repository);
  }

  async prepare(): Promise<void> {
    await this.#measure(this.#contender.prepare, this.#place);
  }

  async run(work: Work): Promise<Sample | undefined> {
    const script = this.#contender.scripts[work];
    if (script === undefined) return undefined;
    const out = this.#newFolder(work);
    const before = bytesBelow(this.#repository);
    this.#makeEven(work);
    const measurement = await this.#measure(script, out);
    const bytes = this.#bytesOf(work);
    const restored = filesBelow(out);
    this.#checkOutput(work, script, restored);
    const storedBytes = bytesBelow(this.#repository) - before + sumOf(restored, "allocatedBytes");
    // The next one needs the memory.
    if (isRestore(work)) this.#restores?.remove();
    return { ...measurement, set: this.#subject.set, work, contender: this.#contender.key, storedBytes, bytes };
  }

  /** Whoever comes later in a round must not pay for what those before it pushed out of memory, or left to be written. */
  #makeEven(work: Work): void {
    execFileSync("sync");
    if (!isRestore(work)) readIntoMemory(this.#subject.variables.DATA);
    readIntoMemory(this.#repository);
    touchMemory(this.#subject.bytes);
  }

  #newFolder(work: Work): string {
    if (isRestore(work)) this.#restores?.renew();
    // Without a file system of its own it stays to the end of the round: ext4 makes files many times slower for minutes after others were removed.
    const out = join((isRestore(work) ? this.#restores?.folder : undefined) ?? this.#place, work);
    mkdirSync(out);
    return out;
  }

  #bytesOf(work: Work): number {
    return work === "one" ? (this.#subject.oneBytes ?? 0) : this.#subject.bytes;
  }

  /** A restore that brings back less than all would be the fastest. */
  #checkOutput(work: Work, script: string, restored: readonly FileSize[]): void {
    if (!isRestore(work)) return;
    const found = sumOf(restored, "bytes");
    const wanted = this.#bytesOf(work);
    // A dump of a database comes with some kilobytes of its own from each program, and the change moves its rows.
    const exact = "DATA" in this.#subject.variables;
    if (exact ? found !== wanted : found < wanted * 0.95) {
      throw new Error(`${found} bytes instead of ${wanted} came back from: ${script}`);
    }
  }

  #measure(script: string, out: string): Promise<Measurement> {
    return measure(`cd "$STATE"; ${script}`, {
      ...this.#subject.variables,
      ...this.#contender.variables,
      REPO: this.#repository,
      STATE: this.#state,
      OUT: out,
    });
  }
}

export interface Tree {
  readonly set: string;
  readonly works: readonly Work[];
  readonly folder: string;
  readonly files: readonly FileSize[];
  /** A second call restores what was there. */
  readonly change?: (() => void) | undefined;
}

export function treeSubject({ set, works, folder, files, change }: Tree): Subject {
  const one = files.find(({ bytes }, number) => number >= Math.floor(files.length / 2) && bytes > 0);
  if (one === undefined) throw new Error(`no file with content in the second half of ${folder}`);
  return {
    set,
    works,
    bytes: sumOf(files, "bytes"),
    variables: { DATA: folder, ONE: one.path },
    ...(change === undefined ? {} : { change, restoreChange: change }),
    oneBytes: one.bytes,
  };
}
