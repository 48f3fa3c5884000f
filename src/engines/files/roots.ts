import * as fs from "node:fs";
import * as path from "node:path";
import { errnoOf } from "../../platform/files.ts";
import { type BytePath, showPath } from "../../platform/walk.ts";

/** What the configured paths turned out to be. */
export interface Roots {
  /** Existing ones, real (no symlink among their parents), without duplicates. */
  readonly found: readonly Root[];
  /** One line for each that is missing or can't be looked at. */
  readonly missing: readonly string[];
  readonly warnings: readonly string[];
}

export interface Root {
  readonly path: BytePath;
  readonly device: bigint;
}

export function resolveRoots(paths: readonly string[]): Roots {
  const found = new Map<BytePath, Root>();
  const missing: string[] = [];
  const warnings: string[] = [];
  for (const configured of paths) {
    try {
      const real = realPlaceOf(configured);
      const stats = fs.lstatSync(real === "" ? "/" : Buffer.from(real, "latin1"), { bigint: true });
      const shown = showPath(real);
      if (stats.isSymbolicLink()) {
        warnings.push(`${shown} is a symlink: the link itself is stored, not what it points to`);
      } else if (shown !== withoutTrailingSlash(configured)) {
        warnings.push(`${configured} is stored as ${shown}, its real path`);
      }
      if (stats.isDirectory() && isEmpty(real)) warnings.push(`${shown} is empty: is its file system mounted?`);
      found.set(real, { path: real, device: stats.dev });
    } catch (error) {
      const code = errnoOf(error);
      if (code === undefined) throw error;
      missing.push(code === "ENOENT" ? `${configured}: does not exist` : `${configured}: ${code}`);
    }
  }
  return { found: [...found.values()], missing, warnings };
}

/** One line for each root that was there and is not: removed or unmounted while it was read, it would look like one with few files. */
export function goneOf({ found }: Roots): readonly string[] {
  return found.filter(isGone).map((root) => `${showPath(root.path)}: it was removed or unmounted meanwhile`);
}

function isGone({ path: place, device }: Root): boolean {
  if (place === "") return false;
  try {
    const now = deviceOf(place);
    // Unmounted, it is on its parent's file system. Another device alone may be an automount that the reading has set off.
    return now !== device && now === deviceOf(place.slice(0, place.lastIndexOf("/")) || "/");
  } catch (error) {
    return errnoOf(error) === "ENOENT";
  }
}

/** One that can't be looked into is not: the walk says why. */
function isEmpty(place: BytePath): boolean {
  try {
    const folder = fs.opendirSync(place === "" ? "/" : Buffer.from(place, "latin1"));
    try {
      return folder.readSync() === null;
    } finally {
      folder.closeSync();
    }
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    return false;
  }
}

function deviceOf(place: BytePath): bigint {
  return fs.lstatSync(Buffer.from(place, "latin1"), { bigint: true }).dev;
}

/** The last member stays as it is: a root may be a symlink, and is then stored as one. */
function realPlaceOf(configured: string): BytePath {
  const normal = withoutTrailingSlash(path.posix.normalize(configured));
  if (normal === "/") return "";
  const parent = fs.realpathSync.native(path.posix.dirname(normal), { encoding: "buffer" }).toString("latin1");
  const name = Buffer.from(path.posix.basename(normal), "utf8").toString("latin1");
  return parent === "/" ? `/${name}` : `${parent}/${name}`;
}

function withoutTrailingSlash(text: string): string {
  return text.length > 1 && text.endsWith("/") ? text.replace(/\/+$/, "") || "/" : text;
}
