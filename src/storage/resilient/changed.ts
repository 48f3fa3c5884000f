import type { OperationOptions, Storage } from "../storage.ts";

/** A storage that does everything as `inner` does, but for what `changes` has. */
export function changed(inner: Storage, changes: Partial<Storage>): Storage {
  return {
    name: inner.name,
    address: inner.address,
    // Asked each time: an adapter may learn from a service's answers what it can do.
    get capabilities() {
      return inner.capabilities;
    },
    put: (key, bytes, options) => inner.put(key, bytes, options),
    get: (key, range, options) => inner.get(key, range, options),
    stat: (key, options) => inner.stat(key, options),
    list: (prefix, options) => inner.list(prefix, options),
    remove: (key, options) => inner.remove(key, options),
    space: (options) => inner.space(options),
    ...(inner.cold === undefined ? {} : { cold: inner.cold }),
    ...(inner.overwritingFails === undefined ? {} : { overwritingFails: inner.overwritingFails.bind(inner) }),
    ...(inner.lockedUntil === undefined ? {} : { lockedUntil: inner.lockedUntil.bind(inner) }),
    ...(inner.probe === undefined ? {} : { probe: inner.probe.bind(inner) }),
    close: () => inner.close(),
    ...changes,
  };
}

type Make = <T>(call: () => Promise<T>, options: OperationOptions | undefined) => Promise<T>;

/** The question how long an object is locked, asked the way that `make` does; nothing where the storage knows no locks. */
export function lockedBy(inner: Storage, make: Make): Pick<Storage, "lockedUntil"> {
  const { lockedUntil } = inner;
  if (lockedUntil === undefined) return {};
  return { lockedUntil: (key, options) => make(() => lockedUntil.call(inner, key, options), options) };
}

/** The calls about cold objects, each made the way that `make` does; nothing where the storage has none. */
export function coldBy({ cold }: Storage, make: Make): Pick<Storage, "cold"> {
  if (cold === undefined) return {};
  const { freeze } = cold;
  return {
    cold: {
      thaw: (key, options) => make(() => cold.thaw(key, options), options),
      warmth: (key, options) => make(() => cold.warmth(key, options), options),
      ...(freeze === undefined
        ? {}
        : { freeze: (key, options) => make(() => freeze.call(cold, key, options), options) }),
    },
  };
}
