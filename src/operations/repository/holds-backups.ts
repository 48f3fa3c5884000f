import { directoryState, METADATA_NAME, splitObjectKey } from "../../domain/object-names.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";

/** Whether a backup lies there, or what is left of one: nobody else would tell that it is damaged. */
export async function holdsBackups(storage: Storage, options?: OperationOptions): Promise<boolean> {
  const unfinished = new Map<string, string[]>();
  for await (const { key } of storage.list("", options)) {
    const object = splitObjectKey(key);
    if (object === undefined) continue;
    const { directory, name } = object;
    if (name === METADATA_NAME) return true;
    const names = unfinished.get(directory) ?? [];
    if (names.push(name) === 1) unfinished.set(directory, names);
  }
  return [...unfinished.values()].some((names) => directoryState(names) === "damaged");
}
