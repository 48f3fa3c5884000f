import { createHash } from "node:crypto";
import * as fs from "node:fs";
import { join } from "node:path";
import type { TreeDump } from "../../src/engines/engine.ts";
import { type OpenSite, openSite, withEngine } from "./open-site.ts";
import { NO_CHOICES } from "./site.ts";

export interface OneInode extends OpenSite {
  readonly id: string;
  readonly www: string;
}

/**
 * A site with a backup in which different files and symlinks say that they are one, as when a file grows between the reading of two
 * of its names, or goes and leaves its inode number to the next; and with names of which that is so.
 */
export async function siteWithOneInode(): Promise<OneInode> {
  const site = await openSite();
  const www = join(site.directory, "www");
  fs.writeFileSync(join(www, "a"), "before");
  fs.linkSync(join(www, "a"), join(www, "a-too"));
  fs.writeFileSync(join(www, "b"), "before, and more");
  fs.writeFileSync(join(www, "c"), "beside");
  fs.linkSync(join(www, "b"), join(www, "uploads/b-too"));
  fs.symlinkSync("one", join(www, "l"));
  fs.linkSync(join(www, "l"), join(www, "l-too"));
  fs.symlinkSync("two", join(www, "m"));
  for (const [name, at] of [
    ["hole-first", 1_000_000],
    ["hole-last", 0],
  ] as const) {
    const fd = fs.openSync(join(www, name), "w");
    fs.writeSync(fd, Buffer.alloc(65_536, "data"), 0, 65_536, at);
    fs.ftruncateSync(fd, 1_065_536);
    fs.closeSync(fd);
  }
  const operations = await withEngine(site, "files", {
    engine: (engine) => ({
      ...engine,
      async dump(context) {
        const dump = await engine.dump(context);
        return dump.shape === "tree" ? { ...dump, nodes: withOneInode(dump.nodes) } : dump;
      },
    }),
  });
  const { backup } = await operations.create(NO_CHOICES);
  if (backup === undefined) throw new Error("no backup was made");
  return { ...site, id: backup.id, www };
}

async function* withOneInode(nodes: TreeDump["nodes"]): TreeDump["nodes"] {
  for await (const group of nodes) {
    yield group.map((node) => (node.type === "directory" ? node : { ...node, hardLink: "1:1" }));
  }
}

/** Each file and symlink with its content and the first name of the same inode. */
export function namesWithContent(folder: string): Readonly<Record<string, string>> {
  const firsts = new Map<bigint, string>();
  const found: Record<string, string> = {};
  for (const name of fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort()) {
    const place = join(folder, name);
    const stats = fs.lstatSync(place, { bigint: true });
    if (stats.isDirectory()) continue;
    const first = firsts.get(stats.ino) ?? name;
    firsts.set(stats.ino, first);
    const content = stats.isSymbolicLink() ? fs.readlinkSync(place) : fs.readFileSync(place);
    found[name] = `${createHash("sha256").update(content).digest("hex")} is ${first}`;
  }
  return found;
}
