import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import type { BackupId } from "../../src/domain/backup.ts";
import { encodePackHeader, sealBlock } from "../../src/format/block.ts";
import { idBytes } from "../../src/format/data-key.ts";
import { macOf } from "../../src/format/mac.ts";
import type { WorkerPool } from "../../src/format/workers/pool.ts";
import { openFixture } from "../format/fixture-reader.ts";

type Lines = readonly string[];
type Json = Record<string, unknown>;

/** What somebody writes who may write to the storage: lines and members as they are, and as they shall be. */
export interface Forgery {
  readonly index?: (lines: Lines) => Lines;
  readonly root?: (lines: Lines) => Lines;
  readonly metadata?: (metadata: Json) => Json;
}

const artifactSchema = z.looseObject({ artifact_id: z.string(), name: z.string(), packs: z.array(z.number()) });
const metadataSchema = z.looseObject({
  sources: z.array(
    z.looseObject({ name: z.string(), index: artifactSchema.optional(), root: artifactSchema.optional() }),
  ),
});
type Artifact = z.infer<typeof artifactSchema>;

/**
 * Rewrites a source of a backup that no key proves, with every sum and mac made right again: what refuses it then has looked at
 * what it says. Only for backups whose index lies in their own directory.
 */
export async function forge(
  repository: string,
  { directory, source: name }: { readonly directory: string; readonly source: string },
  forgery: Forgery,
  temporary: { readonly pool: WorkerPool; readonly directory: string },
): Promise<void> {
  const folder = path.join(repository, directory);
  const backup = await openFixture(repository, directory, { keys: [], pool: temporary.pool });
  const { root, indexFile } = await backup.source(name, temporary.directory);
  const metadata = metadataSchema.parse(JSON.parse(fs.readFileSync(path.join(folder, "metadata.json"), "utf8")));
  const source = metadata.sources.find((candidate) => candidate.name === name);
  if (source?.index === undefined || source.root === undefined) throw new Error(`${name} has no index`);

  const { artifact_id: indexId } = source.index;
  const index = edited(linesOf(fs.readFileSync(indexFile)), forgery.index);
  storeWhole(folder, root.backupId, source.index, index);
  const object = root.objects.find(({ artifact_id }) => artifact_id === indexId);
  if (object === undefined) throw new Error(`the index of ${name} is an ancestor's`);
  const tuple = [sha256(index), index.length, object.n, 0, 28, index.length + 16, 0];
  const { lineage, objects, kind, size } = root;
  const lines = [
    { version: 1, backup_id: root.backupId, source: name, kind, lineage, objects },
    { chunks: [tuple] },
    { end: true, chunks: 1, index_size: index.length, index_sha256: sha256(index), size },
  ].map((line) => JSON.stringify(line));
  storeWhole(folder, root.backupId, source.root, edited(lines, forgery.root));
  sealMetadata(folder, metadata, forgery.metadata);
}

function linesOf(bytes: Buffer): Lines {
  return bytes.toString("utf8").split("\n").slice(0, -1);
}

function edited(lines: Lines, edit: ((lines: Lines) => Lines) | undefined): Buffer {
  const text = (edit?.(lines) ?? lines).map((line) => `${line}\n`).join("");
  return Buffer.from(text, "utf8");
}

/** An artifact as one pack of one block, not compressed. */
function storeWhole(folder: string, backupId: BackupId, artifact: Artifact, bytes: Buffer): void {
  const artifactId = Buffer.from(artifact.artifact_id, "hex");
  const header = encodePackHeader({ compression: "zstd", encrypted: false, packNumber: 0, artifactId });
  const pack = Buffer.alloc(28 + 12 + bytes.length + 16);
  header.copy(pack);
  const block = { storedLength: bytes.length + 16, rawLength: bytes.length, flags: 3 };
  sealBlock({ header, backupId: idBytes(backupId), packNumber: 0, key: undefined }, pack, 28, bytes, block);
  fs.writeFileSync(path.join(folder, `${artifact.name}.00000000`), pack);
  artifact.packs.splice(0, artifact.packs.length, pack.length);
}

function sealMetadata(folder: string, metadata: Json, edit: Forgery["metadata"]): void {
  const packs = fs.readdirSync(folder).filter((file) => /\.\d{8}$/.test(file));
  const sums = packs.sort().map((file) => `${sha256(fs.readFileSync(path.join(folder, file)))}  ${file}\n`);
  fs.writeFileSync(path.join(folder, "SHA256SUMS"), sums.join(""));
  const summed = { ...metadata, checksum: `sha256:${sha256(Buffer.from(sums.join("")))}` };
  const content = edit?.(summed) ?? summed;
  const file = path.join(folder, "metadata.json");
  fs.writeFileSync(file, JSON.stringify({ ...content, mac: macOf(content, undefined) }));
}

function sha256(bytes: Buffer): string {
  return createHash("sha256").update(bytes).digest("hex");
}
