import { parsePackName, roleOf } from "../../src/domain/object-names.ts";
import { flipped } from "../helpers/bytes.ts";
import type { FixtureSite } from "./fixture-site.ts";

/** One object of a stored backup that is not what it was. */
export interface Damage {
  readonly what: string;
  readonly key: string;
  readonly bytes: Buffer | undefined;
}

const KINDS = ["flipped", "flipped", "flipped", "flipped", "cut", "emptied", "longer", "removed", "swapped", "older"];

/** Some damage to one of these objects, as often to one kind of object as to another. */
export function randomDamage(objects: FixtureSite["objects"], random: (limit: number) => number): Damage {
  for (;;) {
    const damage = anyDamage(objects, random);
    if (canBeFound(damage)) return damage;
  }
}

/** Up to `count` damages by one bit, evenly spread over an object: more than it has bits are all of them. */
export function flips(objects: FixtureSite["objects"], key: string, count: number): readonly Damage[] {
  const bytes = objects.get(key) ?? Buffer.alloc(0);
  // Odd, so that it comes to every bit of a byte.
  const step = Math.ceil(Math.max(1, (bytes.length * 8) / count)) | 1;
  const bits = Array.from({ length: Math.ceil((bytes.length * 8) / step) }, (_, i) => i * step);
  return bits.map((bit) => flip(key, bytes, bit));
}

/** Nobody can find notes that are gone: how many there are is written nowhere. */
function canBeFound({ key, bytes }: Damage): boolean {
  return bytes !== undefined || !key.includes("/notes-");
}

/** A keys object in which nothing but the wrap of another key than the configured one is damaged. */
export function opensAllTheSame({ key, bytes }: Damage, objects: FixtureSite["objects"]): boolean {
  const sound = objects.get(key);
  const end = sound?.indexOf('"provider": "passphrase"') ?? -1;
  if (sound === undefined || bytes === undefined || end < 1 || bytes.length < end) return false;
  return sound.compare(bytes, 0, end, 0, end) === 0;
}

function anyDamage(objects: FixtureSite["objects"], random: (limit: number) => number): Damage {
  const kinds = [...Map.groupBy(objects.keys(), kindOf).values()];
  for (;;) {
    const keys = kinds[random(kinds.length)] ?? [];
    const key = keys[random(keys.length)] ?? "";
    const kind = KINDS[random(KINDS.length)] ?? "";
    const bytes = objects.get(key) ?? Buffer.alloc(0);
    const changed = damaged(kind, key, bytes, objects, random);
    if (changed === undefined || !changed.bytes?.equals(bytes)) {
      return { key, bytes: changed?.bytes, what: `${key} ${kind}${changed === undefined ? "" : changed.where}` };
    }
  }
}

/** Most objects are packs of data: drawn one by one, hardly any of the others would be damaged. */
function kindOf(key: string): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  return parsePackName(name)?.artifact.part ?? roleOf(name);
}

/** Without what only tells two writers apart. */
function nameAlike(key: string): string {
  return key.slice(key.lastIndexOf("/") + 1).replace(/-[0-9a-f]{8}\.json$/, "");
}

function flip(key: string, bytes: Buffer, bit: number): Damage {
  return { key, bytes: flipped(bytes, bit), what: `${key} flipped at byte ${bit >> 3}, bit ${bit & 7}` };
}

function damaged(
  kind: string,
  key: string,
  bytes: Buffer,
  objects: FixtureSite["objects"],
  random: (limit: number) => number,
): { readonly bytes: Buffer; readonly where: string } | undefined {
  switch (kind) {
    case "flipped": {
      const bit = random(bytes.length * 8);
      return { bytes: flipped(bytes, bit), where: ` at byte ${bit >> 3}, bit ${bit & 7}` };
    }
    case "cut": {
      const length = random(bytes.length);
      return { bytes: bytes.subarray(0, length), where: ` to ${length} bytes` };
    }
    case "emptied":
      return { bytes: Buffer.alloc(0), where: "" };
    case "longer":
      return { bytes: Buffer.concat([bytes, Buffer.alloc(1)]), where: "" };
    case "removed":
      return undefined;
    case "swapped": {
      const others = [...objects.keys()];
      const other = others[random(others.length)] ?? key;
      return { bytes: objects.get(other) ?? bytes, where: ` with ${other}` };
    }
    default: {
      const twins = [...objects.keys()].filter((twin) => twin !== key && nameAlike(twin) === nameAlike(key));
      const twin = twins[random(Math.max(1, twins.length))] ?? key;
      return { bytes: objects.get(twin) ?? bytes, where: `: that of ${twin}` };
    }
  }
}

export function directoryOf({ key }: Damage): string {
  return key.slice(0, key.lastIndexOf("/"));
}

/** What a finding calls the object: of a keys object that is gone nobody knows the name, and without metadata there is no backup in the directory. */
export function nameOf({ key, bytes }: Damage): string {
  const name = key.slice(key.lastIndexOf("/") + 1);
  if (name === "metadata.json" && bytes === undefined) return key.slice(0, -name.length - 1);
  return name.startsWith("keys-") && bytes === undefined ? "keys object" : name;
}

export function isPack(object: string): boolean {
  return /\.\d{8}$/.test(object);
}

export function sourceOf(object: string): string {
  return object.slice(0, object.indexOf("."));
}
