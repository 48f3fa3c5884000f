import type { Storage } from "../storage.ts";

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
    ...(inner.probe === undefined ? {} : { probe: inner.probe.bind(inner) }),
    close: () => inner.close(),
    ...changes,
  };
}
