import { count } from "../../domain/count.ts";
import { parseNumberedName } from "../../domain/object-names.ts";
import { MAX_JSON_BYTES } from "../../format/parse-json.ts";
import { type ReadableStorage, readObject } from "./read-object.ts";

/**
 * A backup gets a keys object with each change of its keys and notes with each verification, each well below 1 KiB. Whoever can write to
 * the storage can put thousands there, of the size that one may have: more than these are not read.
 */
const MOST_OBJECTS = 256;
const MOST_BYTES = 16 * 2 ** 20;

type Family = "keys" | "notes";

/** A `keys-<n>-….json` or `notes-<n>-….json` as a storage lists it. */
export interface NumberedObject {
  readonly storage: ReadableStorage;
  readonly key: string;
  readonly name: string;
  readonly n: number;
  readonly sizeBytes: number;
}

/** Those in a backup's directory that are worth reading, the newest first, and those that are too many. */
export interface Newest {
  readonly objects: readonly NumberedObject[];
  readonly passedOver: readonly NumberedObject[];
}

export async function listNumbered(
  storages: readonly ReadableStorage[],
  directory: string,
): Promise<Readonly<Record<Family, Newest>>> {
  const found: Record<Family, NumberedObject[]> = { keys: [], notes: [] };
  for (const storage of storages) {
    for await (const { key, sizeBytes } of storage.list(directory)) {
      const name = key.slice(directory.length + 1);
      const parsed = parseNumberedName(name);
      if (parsed !== undefined) found[parsed.family].push({ storage, key, name, n: parsed.n, sizeBytes });
    }
  }
  return { keys: newestOf(found.keys), notes: newestOf(found.notes) };
}

function newestOf(found: readonly NumberedObject[]): Newest {
  const sorted = found.toSorted((left, right) => right.n - left.n || (left.name < right.name ? -1 : 1));
  let bytes = 0;
  const end = sorted.findIndex(({ sizeBytes }, index) => {
    bytes += Math.min(sizeBytes, MAX_JSON_BYTES);
    return index === MOST_OBJECTS || bytes > MOST_BYTES;
  });
  return end < 0
    ? { objects: sorted, passedOver: [] }
    : { objects: sorted.slice(0, end), passedOver: sorted.slice(end) };
}

/** In words; `undefined` where all were read. */
export function passedOverText({ passedOver }: Newest, family: Family, directory: string): string | undefined {
  if (passedOver.length === 0) return undefined;
  const what = count(passedOver.length, `${family} object`);
  return `${directory} has more ${family} objects than any backup: the oldest ${what} are not read`;
}

/** `undefined` where it is gone by now. One byte more than it may have tells one that is too large. */
export function readNumbered({ storage, key }: NumberedObject): Promise<Buffer | undefined> {
  return readObject(storage, key, MAX_JSON_BYTES);
}
