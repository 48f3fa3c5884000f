import { closeSync, constants, openSync } from "node:fs";
import { createRequire } from "node:module";
import { errnoOf } from "./files.ts";

/** Attribute names to values in base64. ACLs are the `system.posix_acl_*` attributes, capabilities `security.capability`. */
export type Attributes = Readonly<Record<string, string>>;

/** The part of fs-native-extensions that is used: attributes of an open descriptor, by their full names. */
interface Binding {
  listAttrsSync(fd: number): readonly string[];
  /** `null` if there is no such attribute. */
  getAttrSync(fd: number, name: string): Uint8Array | null;
  setAttrSync(fd: number, name: string, value: Uint8Array): void;
  removeAttrSync(fd: number, name: string): void;
}

let loaded: Binding | undefined | "untried" = "untried";

/** False where the native library has no build for this system: attributes can then be neither read nor written. */
export function attributesAvailable(): boolean {
  return load() !== undefined;
}

/**
 * The attributes of an open file or directory; `undefined` where there are none or the file system has no such thing.
 * @throws an error with `E2BIG` where their values take more than `mostBytes`
 */
function readAttributes(fd: number, mostBytes = Number.POSITIVE_INFINITY): Attributes | undefined {
  const native = load();
  if (native === undefined) return undefined;
  try {
    const names = native.listAttrsSync(fd).filter(isKept).sort();
    const found: Record<string, string> = {};
    let bytes = 0;
    for (const name of names) {
      const value = native.getAttrSync(fd, name);
      // Between the list and the read another process may have removed it.
      if (value === null) continue;
      bytes += value.length;
      if (bytes > mostBytes) throw Object.assign(new Error("the attributes are too large"), { code: "E2BIG" });
      found[name] = Buffer.from(value).toString("base64");
    }
    return Object.keys(found).length === 0 ? undefined : found;
  } catch (error) {
    if (errnoOf(error) === "ENOTSUP" || errnoOf(error) === "EOPNOTSUPP") return undefined;
    throw error;
  }
}

/** The same, or the errno. */
export function findAttributes(
  fd: number,
  mostBytes?: number,
): { readonly attributes: Attributes | undefined } | { readonly errno: string } {
  try {
    return { attributes: readAttributes(fd, mostBytes) };
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === undefined) throw error;
    return { errno };
  }
}

/** Of a directory: without any, what is made in it gets none from it either. */
export function hasAttributes(directory: string): boolean {
  const fd = openSync(directory, constants.O_RDONLY | constants.O_DIRECTORY);
  try {
    return readAttributes(fd) !== undefined;
  } finally {
    closeSync(fd);
  }
}

/**
 * Makes the attributes of an open file or directory the given ones. Attributes that others manage (`security.selinux`,
 * `trusted.*`) are set but not taken away. Returns the names that could not be set.
 */
export function writeAttributes(fd: number, wanted: Attributes | undefined): readonly string[] {
  const native = load();
  if (native === undefined) return Object.keys(wanted ?? {});
  const present = readAttributes(fd) ?? {};
  const failed: string[] = [];
  for (const name of Object.keys(present)) {
    if (wanted?.[name] === undefined && isOurs(name)) attempt(name, failed, () => native.removeAttrSync(fd, name));
  }
  for (const [name, value] of Object.entries(wanted ?? {})) {
    if (present[name] !== value)
      attempt(name, failed, () => native.setAttrSync(fd, name, Buffer.from(value, "base64")));
  }
  return failed;
}

/** What attributes take in memory, about. */
export function sizeOfAttributes(attributes: Attributes | undefined): number {
  return Object.entries(attributes ?? {}).reduce((sum, [name, value]) => sum + name.length + value.length, 0);
}

function attempt(name: string, failed: string[], change: () => void): void {
  try {
    change();
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    failed.push(name);
  }
}

/** Of `system.*` only the ACLs are a file's own; the rest shows a file system's internals. */
function isKept(name: string): boolean {
  return !name.startsWith("system.") || name.startsWith("system.posix_acl_");
}

function isOurs(name: string): boolean {
  return name.startsWith("user.") || name.startsWith("system.posix_acl_") || name === "security.capability";
}

function load(): Binding | undefined {
  if (loaded === "untried") {
    try {
      const native: unknown = createRequire(import.meta.url)("fs-native-extensions");
      loaded = isBinding(native) ? native : undefined;
    } catch {
      // No build for this system (musl, another architecture): said by the caller, who knows whether it matters.
      loaded = undefined;
    }
  }
  return loaded;
}

function isBinding(native: unknown): native is Binding {
  const functions = ["listAttrsSync", "getAttrSync", "setAttrSync", "removeAttrSync"];
  if (typeof native !== "object" || native === null) return false;
  return functions.every((name) => typeof Reflect.get(native, name) === "function");
}
