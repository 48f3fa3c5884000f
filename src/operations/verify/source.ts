import * as path from "node:path";
import type { BackupMetadata, SourceMetadata, StoredArtifact } from "../../domain/backup.ts";
import { readArtifact } from "../../format/artifact-reader.ts";
import { DamageError } from "../../format/block.ts";
import { BlockReader } from "../../format/block-reader.ts";
import { fetchIndex, readRoot, readStreamIndex, readTreeIndex } from "../../format/index-reader.ts";
import { type PackSource, StoredDamage } from "../../format/pack-source.ts";
import { requireSameFacts } from "../../format/proven-root.ts";
import type { Root } from "../../format/root.ts";
import type { WorkerPool } from "../../format/workers/pool.ts";
import { removeFileIfExists } from "../../platform/files.ts";
import { giveBack } from "../../platform/own-memory.ts";
import { withTurns } from "../../platform/turns.ts";
import type { CheckName } from "../operations.ts";
import { ChunkReferences, checkChunks, compareWithBlocks } from "./chunks.ts";
import type { Problem } from "./objects.ts";

interface SourceCheck {
  readonly metadata: BackupMetadata;
  readonly source: SourceMetadata;
  readonly packs: PackSource;
  readonly pool: WorkerPool;
  readonly temporaryDirectory: string;
  readonly signal: AbortSignal;
  readonly report: (problem: Problem) => void;
}

const TREE_KIND = "tree";

/**
 * Opens every block that a source stored, reads its index, and checks every chunk that the index refers to, wherever in the lineage
 * it lies. Damage is reported, and the rest looked at all the same.
 */
export async function checkSource(check: SourceCheck): Promise<void> {
  const { source, metadata, pool } = check;
  const { root: rootArtifact, index: indexArtifact, data } = source;
  if (rootArtifact === undefined || indexArtifact === undefined || data === undefined) {
    return check.report({
      check: "component_completeness",
      text: `source "${source.name}" of metadata.json has no data, index or root`,
      source: source.name,
    });
  }
  const indexFile = path.join(check.temporaryDirectory, `${source.name}.index`);
  try {
    const root = await guarded(check, () => openRoot(check, rootArtifact));
    await guarded(check, () => openAll(check, indexArtifact));
    const chunks = root === undefined ? undefined : await guarded(check, () => readIndex(check, root, indexFile));
    if (root === undefined || chunks === undefined) return void (await guarded(check, () => openAll(check, data)));
    const own = root.objects.findIndex(
      (object) => object.origin === metadata.id && object.artifact_id === data.artifact_id,
    );
    const isOwn = (object: number): boolean => object === own;
    const elsewhere = (object: number): boolean => object !== own;
    const sound = await guarded(check, async () => {
      await compareWithBlocks(metadata.id, data, blocksOf(check, data), chunks.inOrder(isOwn));
      return true;
    });
    // One pass ends at its first damage: which other blocks are, only asking for each of them tells.
    for (const part of sound === true ? [elsewhere] : [isOwn, elsewhere]) {
      const reader = new BlockReader(check.packs, pool);
      await guarded(check, () =>
        checkChunks(root, chunks.inOrder(part), reader, (damage) => check.report(problemOf(check, damage))),
      );
    }
  } finally {
    await removeFileIfExists(indexFile);
  }
}

function blocksOf({ metadata, packs, pool }: SourceCheck, artifact: StoredArtifact) {
  return readArtifact(metadata.id, artifact, metadata.encrypted, packs, pool);
}

async function openAll(check: SourceCheck, artifact: StoredArtifact): Promise<void> {
  for await (const { raw } of blocksOf(check, artifact)) giveBack(raw);
}

/** The root must tell of the same backup, lineage and artifact as the metadata. */
async function openRoot(check: SourceCheck, artifact: StoredArtifact): Promise<Root> {
  const { source, metadata, packs, pool } = check;
  const { root } = await readRoot(metadata.id, { ...source, root: artifact }, metadata.encrypted, packs, pool);
  requireSameFacts(root, metadata, source);
  return root;
}

/** Fetches the index, compares its counts with the metadata, and gives every chunk that it refers to. */
async function readIndex(check: SourceCheck, root: Root, file: string): Promise<ChunkReferences> {
  await fetchIndex(root, file, check.packs, check.pool);
  const chunks = new ChunkReferences();
  const { source } = check;
  if (source.kind !== TREE_KIND) {
    const index = readStreamIndex(file, source.kind);
    for (const chunk of index.chunks) chunks.add(chunk);
    if (index.size !== source.size)
      throw new DamageError(`its index says ${index.size} bytes, metadata.json ${source.size}`);
    return chunks;
  }
  const counts = { files: 0, directories: 0, symlinks: 0 };
  for await (const entry of withTurns(readTreeIndex(file), check.signal)) {
    counts[COUNT_OF[entry.type]]++;
    for (const chunk of entry.chunks) chunks.add(chunk);
  }
  for (const [name, count] of Object.entries(counts)) {
    const said = source.counts[name];
    if (said === undefined || said === count) continue;
    const text = `source "${source.name}": its index lists ${count} ${name}, metadata.json says ${said}`;
    check.report({ check: "component_completeness", text, source: source.name });
  }
  return chunks;
}

const COUNT_OF = { file: "files", directory: "directories", symlink: "symlinks" } as const;

/** Damage is a finding; everything else (a storage that is away, an interruption) ends the verification. */
async function guarded<T>(check: SourceCheck, work: () => Promise<T>): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof StoredDamage) && !(error instanceof DamageError)) throw error;
    check.report(problemOf(check, error));
    return undefined;
  }
}

function problemOf({ metadata, source }: SourceCheck, error: Error): Problem {
  const origin =
    error instanceof StoredDamage && error.origin !== metadata.id ? ` (in its ancestor ${error.origin})` : "";
  return {
    check: checkOf(error.message),
    text: `source "${source.name}": ${error.message}${origin}`,
    source: source.name,
  };
}

/** A block is sealed, then compressed, then content: the first of the three that fails names the check. */
function checkOf(message: string): CheckName {
  if (/does not open|cipher|encrypted/.test(message)) return "encryption_validation";
  if (/does not decompress|compression/.test(message)) return "compression_validation";
  if (/checksum is wrong/.test(message)) return "checksum_validation";
  return "file_integrity";
}
