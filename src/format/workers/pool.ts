import { availableParallelism } from "node:os";
import { setFlagsFromString } from "node:v8";
import { Worker } from "node:worker_threads";
import { BackupctlError } from "../../errors.ts";
import { boundHeapGrowth, unboundHeapGrowth } from "../../platform/heap-growth.ts";
import { DamageError } from "../block.ts";
import type { Reply, Request, Task, TaskResults } from "./tasks.ts";

/** Tasks sent to a worker ahead of its reply: one more than it works on hides the way there and back. */
const QUEUED_PER_WORKER = 2;

/**
 * A worker's own heap stays at some 10 MB. V8 derives from these limits how much memory outside of the heap may wait for its
 * next collection, which is where the blocks lie: without them it is a hundred megabytes for each worker.
 */
const SMALL_HEAP = { maxYoungGenerationSizeMb: 3, maxOldGenerationSizeMb: 40 };

interface Waiting {
  readonly task: Task;
  readonly transfer: ArrayBuffer[];
  readonly resolve: (result: never) => void;
  readonly reject: (error: Error) => void;
}

interface Member {
  readonly worker: Worker;
  readonly pending: Map<number, Waiting>;
  hasAnswered: boolean;
}

/** Threads that share the work of a run. Reading goes first, so that the later stages never starve; memory bounds how far ahead. */
export class WorkerPool {
  readonly #members: Member[] = [];
  readonly #urgent: Waiting[] = [];
  readonly #normal: Waiting[] = [];
  readonly #size: number;
  #nextId = 0;
  #isHeapBounded = false;
  #failure: Error | undefined;
  #ended: Promise<void> | undefined;

  constructor(size: number = availableParallelism()) {
    // bin/backupctl lets the main thread begin with more.
    setFlagsFromString("--min-semi-space-size=1");
    this.#size = size;
    this.#members.push(this.#start());
  }

  /** @throws DamageError where stored bytes are not what they should be. */
  run<T extends Task>(task: T, transfer: ArrayBuffer[] = []): Promise<TaskResults[T["kind"]]> {
    if (this.#failure !== undefined) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      const queue = task.kind === "compress" || task.kind === "seal-block" ? this.#normal : this.#urgent;
      queue.push({ task, transfer, resolve, reject });
      this.#dispatch();
    });
  }

  async close(): Promise<void> {
    await this.#fail(new Error("the worker pool was closed"));
  }

  #start(): Member {
    // The build rewrites imports, but not this: the built worker lies beside the built pool (scripts/build.ts).
    const file = import.meta.url.endsWith(".ts") ? "./worker.ts" : "./worker.cjs";
    this.#isHeapBounded = false;
    unboundHeapGrowth();
    const worker = new Worker(new URL(file, import.meta.url), { execArgv: [], resourceLimits: SMALL_HEAP });
    const member: Member = { worker, pending: new Map(), hasAnswered: false };
    worker.on("message", (reply: Reply) => this.#settle(member, reply));
    worker.on("error", (error: Error) => void this.#fail(error));
    worker.on("exit", () => void this.#fail(new Error("a worker thread ended")));
    worker.unref();
    return member;
  }

  #dispatch(): void {
    if (this.#failure !== undefined) return;
    this.#grow();
    for (let depth = 0; depth < QUEUED_PER_WORKER; depth++) {
      for (const member of this.#members) {
        if (member.pending.size > depth) continue;
        const next = this.#urgent.shift() ?? this.#normal.shift();
        if (next === undefined) return;
        const id = this.#nextId++;
        member.pending.set(id, next);
        member.worker.ref();
        member.worker.postMessage({ id, task: next.task } satisfies Request, next.transfer);
      }
    }
  }

  /** The first thread comes up while its first task is prepared; another one costs as much as small work takes. */
  #grow(): void {
    const waiting = this.#urgent.length + this.#normal.length;
    const idle = this.#members.filter(({ pending }) => pending.size === 0).length;
    if (waiting > idle && this.#members.length < this.#size) this.#members.push(this.#start());
  }

  /** The main thread's own, which the limits of workers do not reach; and only when all threads are up. */
  #boundHeap(): void {
    if (this.#isHeapBounded || !this.#members.every(({ hasAnswered }) => hasAnswered)) return;
    this.#isHeapBounded = true;
    boundHeapGrowth();
  }

  #settle(member: Member, reply: Reply): void {
    const waiting = member.pending.get(reply.id);
    if (waiting === undefined) return;
    member.pending.delete(reply.id);
    member.hasAnswered = true;
    this.#boundHeap();
    // Who ends the threads waits for them: nothing else may keep the process alive until then.
    if (member.pending.size === 0 && this.#failure === undefined) member.worker.unref();
    this.#dispatch();
    if ("result" in reply) waiting.resolve(reply.result as never);
    else if ("damage" in reply) waiting.reject(new DamageError(reply.damage, { cause: reply.cause }));
    else waiting.reject(failureOf(reply));
  }

  /** Ends all threads at the first failure, and only then lets go of who waits: they may remove what a thread still wrote to. */
  #fail(error: Error): Promise<void> {
    this.#failure ??= error;
    this.#ended ??= this.#end(error);
    return this.#ended;
  }

  async #end(error: Error): Promise<void> {
    await Promise.all(
      this.#members.map(({ worker }) => {
        worker.ref();
        return worker.terminate();
      }),
    );
    unboundHeapGrowth();
    const waiting = [...this.#urgent.splice(0), ...this.#normal.splice(0), ...this.#members.flatMap(takePending)];
    for (const { reject } of waiting) reject(error);
  }
}

/** What the system refused a worker, or what it says in words, is as if it had happened here. */
function failureOf(reply: Exclude<Reply, { result: unknown } | { damage: string }>): Error {
  if ("expected" in reply) {
    const { code, message, hint } = reply.expected;
    return new BackupctlError(code, message, hint === undefined ? {} : { hint });
  }
  if (reply.errno !== undefined) return Object.assign(new Error(reply.error), { code: reply.errno });
  return new Error(`a worker thread failed: ${reply.error}`);
}

function takePending(member: Member): Waiting[] {
  const waiting = [...member.pending.values()];
  member.pending.clear();
  member.worker.unref();
  return waiting;
}
