import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import { type Attributes, findAttributes } from "../../src/platform/extended-attributes.ts";

/** What is in the sealed fixtures, taken from the sources themselves when they were made: test/fixtures/format-v1/expected.json. */

const treeEntry = z.strictObject({
  /** Relative to `/`, one character a byte (latin1), because not every name is UTF-8. */
  name: z.string(),
  type: z.enum(["file", "directory", "symlink"]),
  size: z.number(),
  mode: z.number(),
  /** Nanoseconds. */
  mtime: z.string(),
  sha256: z.string().optional(),
  /** As `name`. */
  link: z.string().optional(),
  /** The first name of the same file, where that is another one. */
  same_as: z.string().optional(),
  xattrs: z.record(z.string(), z.string()).optional(),
});

const source = z.strictObject({
  tree: z.array(treeEntry).optional(),
  stream: z
    .strictObject({
      size: z.number(),
      sha256: z.string(),
      /** SHA-256 of each entry's range. */
      parts: z.record(z.string(), z.string()),
    })
    .optional(),
  /** Of a PostgreSQL source: the rows of each table as the server's COPY gave them, by the entry's name. */
  tables: z.record(z.string(), z.array(z.string())).optional(),
});

const backup = z.strictObject({
  directory: z.string(),
  mode: z.enum(["full", "incremental", "differential"]),
  status: z.enum(["completed", "partial"]),
  sources: z.record(z.string(), source),
});

export const manifestSchema = z.strictObject({
  key: z.string(),
  passphrase: z.string(),
  repositories: z.record(z.string(), z.array(backup)),
});

/** Repositories that were made with no key configured. */
export const WITHOUT_KEY: readonly string[] = ["open-zstd", "two-packs"];

export type Manifest = z.infer<typeof manifestSchema>;
export type ExpectedBackup = z.infer<typeof backup>;
export type ExpectedSource = z.infer<typeof source>;
export type TreeEntry = z.infer<typeof treeEntry>;

/** Everything at and below `name`, a path relative to `base`, as entries of names relative to `base`. */
export function listTree(base: string, name: string): readonly TreeEntry[] {
  const firstNames = new Map<string, string>();
  const found: TreeEntry[] = [];
  const visit = (current: string): void => {
    const place = Buffer.from(path.join(base, current), "latin1");
    const stats = fs.lstatSync(place, { bigint: true });
    const inode = `${stats.dev}:${stats.ino}`;
    const first = firstNames.get(inode);
    firstNames.set(inode, first ?? current);
    found.push({
      name: current,
      ...describe(place, stats),
      mode: Number(stats.mode & 0o7777n),
      mtime: String(stats.mtimeNs),
      ...(first === undefined ? {} : { same_as: first }),
    });
    if (!stats.isDirectory()) return;
    for (const member of fs.readdirSync(place, { encoding: "latin1" }).sort()) visit(`${current}/${member}`);
  };
  visit(name);
  return found;
}

function describe(place: Buffer, stats: fs.BigIntStats): Omit<TreeEntry, "name" | "mode" | "mtime" | "same_as"> {
  if (stats.isSymbolicLink()) return { type: "symlink", size: 0, link: fs.readlinkSync(place, "latin1") };
  const attributes = attributesOf(place);
  const xattrs = attributes === undefined ? {} : { xattrs: attributes };
  if (stats.isDirectory()) return { type: "directory", size: 0, ...xattrs };
  return { type: "file", size: Number(stats.size), sha256: sha256Of(fs.readFileSync(place)), ...xattrs };
}

function attributesOf(place: Buffer): Attributes | undefined {
  const descriptor = fs.openSync(place, "r");
  try {
    const found = findAttributes(descriptor);
    if ("errno" in found) throw new Error(`${place}: its attributes can't be read (${found.errno})`);
    return found.attributes;
  } finally {
    fs.closeSync(descriptor);
  }
}

export function sha256Of(bytes: Uint8Array): string {
  return createHash("sha256").update(bytes).digest("hex");
}
