import type { OperationOptions, Storage } from "../../src/storage/storage.ts";

export type StorageOperation = "put" | "get" | "stat" | "list" | "remove" | "space";

export interface FaultPlan {
  /** The call throws and has no effect. */
  fail(error: unknown): FaultyStorage;
  /** The call never ends, unless its signal aborts it. */
  hang(): FaultyStorage;
  /** The call takes effect, then throws: a connection lost before the answer. A listing fails after its last object. */
  failAfterVisible(error: unknown): FaultyStorage;
  /** `put` stores, and `get` returns, what `change` makes of the bytes. */
  corrupt(change: (bytes: Buffer) => Buffer): FaultyStorage;
  /** Called before the call goes through: to look at the state, or to change it, at this very moment. */
  meanwhile(action: () => unknown): FaultyStorage;
}

export interface FaultyStorage extends Storage {
  /** What happens at the n-th call (from 1) of an operation, or at every one; of several plans the first made counts. */
  onCall(operation: StorageOperation, n: number | "every"): FaultPlan;
  /** What happens at each call of an operation whose key or prefix matches. */
  onKey(operation: StorageOperation, key: RegExp): FaultPlan;
  /** Every call so far. */
  readonly calls: readonly { readonly operation: StorageOperation; readonly key: string }[];
}

type Fault =
  | { readonly kind: "fail" | "failAfterVisible"; readonly error: unknown }
  | { readonly kind: "hang" }
  | { readonly kind: "corrupt"; readonly change: (bytes: Buffer) => Buffer }
  | { readonly kind: "meanwhile"; readonly action: () => unknown };

interface Planned {
  readonly operation: StorageOperation;
  readonly matches: (n: number, key: string) => boolean;
  readonly fault: Fault;
}

/** A storage that breaks as planned and otherwise is `inner`. */
export function faultyStorage(inner: Storage): FaultyStorage {
  const planned: Planned[] = [];
  const calls: { operation: StorageOperation; key: string }[] = [];

  function begin(operation: StorageOperation, key: string): Fault | undefined {
    calls.push({ operation, key });
    const n = calls.filter((call) => call.operation === operation).length;
    return planned.find((plan) => plan.operation === operation && plan.matches(n, key))?.fault;
  }

  async function run<T>(fault: Fault | undefined, options: OperationOptions | undefined, work: () => Promise<T>) {
    await before(fault, options?.signal);
    const result = await work();
    if (fault?.kind === "failAfterVisible") throw fault.error;
    return result;
  }

  function plan(operation: StorageOperation, matches: Planned["matches"]): FaultPlan {
    const as = (fault: Fault): FaultyStorage => {
      planned.push({ operation, matches, fault });
      return storage;
    };
    return {
      fail: (error) => as({ kind: "fail", error }),
      hang: () => as({ kind: "hang" }),
      failAfterVisible: (error) => as({ kind: "failAfterVisible", error }),
      corrupt: (change) => as({ kind: "corrupt", change }),
      meanwhile: (action) => as({ kind: "meanwhile", action }),
    };
  }

  const storage: FaultyStorage = {
    name: inner.name,
    address: inner.address,
    capabilities: inner.capabilities,
    calls,
    onCall: (operation, n) => plan(operation, (call) => n === "every" || call === n),
    onKey: (operation, key) => plan(operation, (_, called) => key.test(called)),
    put: (key, bytes, options) => {
      const fault = begin("put", key);
      const stored = fault?.kind === "corrupt" ? fault.change(Buffer.from(bytes)) : bytes;
      return run(fault, options, () => inner.put(key, stored, options));
    },
    get: async (key, range, options) => {
      const fault = begin("get", key);
      const bytes = await run(fault, options, () => inner.get(key, range, options));
      return bytes !== undefined && fault?.kind === "corrupt" ? fault.change(bytes) : bytes;
    },
    stat: (key, options) => run(begin("stat", key), options, () => inner.stat(key, options)),
    async *list(prefix, options) {
      const fault = begin("list", prefix);
      await before(fault, options?.signal);
      yield* inner.list(prefix, options);
      if (fault?.kind === "failAfterVisible") throw fault.error;
    },
    remove: (key, options) => run(begin("remove", key), options, () => inner.remove(key, options)),
    space: (options) => run(begin("space", ""), options, () => inner.space(options)),
    ...(inner.cold === undefined ? {} : { cold: inner.cold }),
    close: () => inner.close(),
  };
  return storage;
}

async function before(fault: Fault | undefined, signal: AbortSignal | undefined): Promise<void> {
  if (fault?.kind === "fail") throw fault.error;
  if (fault?.kind === "meanwhile") await fault.action();
  if (fault?.kind === "hang") await untilAborted(signal);
}

function untilAborted(signal: AbortSignal | undefined): Promise<never> {
  return new Promise((_, reject) => {
    if (signal?.aborted) reject(signal.reason);
    signal?.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}
