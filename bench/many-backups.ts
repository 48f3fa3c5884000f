import { createHash, randomUUID } from "node:crypto";
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { setImmediate as turn } from "node:timers/promises";
import { type BackupMetadata, isBackupId } from "../src/domain/backup.ts";
import { metadataSchema } from "../src/domain/metadata-schema.ts";
import { backupDirectory, METADATA_NAME, packName, SHA256SUMS_NAME } from "../src/domain/object-names.ts";
import {
  BLOCK_HEADER_BYTES,
  decodeBlockHeader,
  decodePackHeader,
  openBlock,
  PACK_HEADER_BYTES,
  type PackSeal,
  sealBlock,
  TAG_BYTES,
} from "../src/format/block.ts";
import { artifactKey, idBytes, makeDataKey, metadataKey } from "../src/format/data-key.ts";
import { buildKeysObject, openKeysObjects, type WrappingKey } from "../src/format/keys-object.ts";
import { decodeMetadata, encodeMetadata } from "../src/format/metadata.ts";
import { encodeSha256Sums } from "../src/format/sha256sums.ts";
import { filesBelow } from "./folders.ts";

const HOUR_MS = 3_600_000;

interface Template {
  readonly metadata: BackupMetadata;
  readonly dataKey: Buffer;
  readonly packs: readonly { readonly name: string; readonly isRoot: boolean; readonly bytes: Buffer }[];
}

/**
 * Fills a repository that holds one small chain, not compressed, with copies of it until there are so many backups: each has an id,
 * a time and a data key of its own, is sealed anew, and can be verified and restored. They are older than what is there.
 */
export async function multiplyBackups(repository: string, key: string, wanted: number): Promise<void> {
  const secret = Buffer.from(key, "hex");
  const wrapping: WrappingKey = {
    ...{ provider: "local", name: "main" },
    seal: async () => ({ secret, parameters: {} }),
    open: async () => secret,
  };
  const chain = await readChain(repository, wrapping);
  for (let number = chain.length; number < wanted; ) {
    // A turn for Ctrl-C.
    await turn();
    const names = new Map<string, string>();
    const earlierMs = number * HOUR_MS;
    for (const template of chain.slice(0, wanted - number)) {
      await writeCopy(repository, template, { names, earlierMs, wrapping });
      number++;
    }
  }
}

/** Oldest first: a copy names the copies of its ancestors. */
async function readChain(repository: string, wrapping: WrappingKey): Promise<readonly Template[]> {
  const found = filesBelow(repository).filter(({ path }) => path.endsWith(`/${METADATA_NAME}`));
  const chain = await Promise.all(found.map(({ path }) => readTemplate(dirname(path), wrapping)));
  return chain.sort((a, b) => a.metadata.lineage.length - b.metadata.lineage.length);
}

async function readTemplate(folder: string, wrapping: WrappingKey): Promise<Template> {
  const { metadata } = decodeMetadata(readFileSync(join(folder, METADATA_NAME)), folder);
  const names = readdirSync(folder).filter((name) => name.startsWith("keys-"));
  const keys = names.map((name) => ({ name, bytes: readFileSync(join(folder, name)) }));
  const wanted = { backupId: metadata.id, keyId: metadata.key_id ?? "" };
  const { dataKey } = await openKeysObjects(keys, wanted, [wrapping]);
  const packs = metadata.sources.flatMap(({ data, index, root }) =>
    [data, index, root].flatMap((artifact) =>
      (artifact?.packs ?? []).map((_, number) => {
        const name = packName(artifact?.name ?? "", number);
        return { name, isRoot: artifact === root, bytes: readFileSync(join(folder, name)) };
      }),
    ),
  );
  return { metadata, dataKey, packs };
}

interface CopyRequest {
  /** What is called otherwise in the copies of this chain: ids, paths, times, checksums. */
  readonly names: Map<string, string>;
  readonly earlierMs: number;
  readonly wrapping: WrappingKey;
}

async function writeCopy(repository: string, template: Template, { names, earlierMs, wrapping }: CopyRequest) {
  const { metadata } = template;
  const id = randomUUID();
  if (!isBackupId(id)) throw new Error(`${id} is not a backup's id`);
  for (const time of [metadata.timestamp, metadata.completed_at])
    names.set(time, new Date(Date.parse(time) - earlierMs).toISOString());
  const path = backupDirectory({ ...metadata, id, timestamp: names.get(metadata.timestamp) ?? "" });
  const dataKey = makeDataKey();
  names.set(metadata.id, id).set(metadata.storage_path, path);
  const renamed = (text: string): string => [...names].reduce((all, [old, name]) => all.replaceAll(old, name), text);

  const folder = join(repository, path);
  mkdirSync(folder, { recursive: true });
  const sums = new Map<string, string>();
  for (const { name, isRoot, bytes } of template.packs) {
    const edit = isRoot ? (raw: Buffer) => Buffer.from(renamed(raw.toString("utf8"))) : undefined;
    const pack = resealed(bytes, template, { id, dataKey }, edit);
    writeFileSync(join(folder, name), pack);
    sums.set(name, createHash("sha256").update(pack).digest("hex"));
  }
  const sumsText = encodeSha256Sums(sums);
  writeFileSync(join(folder, SHA256SUMS_NAME), sumsText);
  const keys = await buildKeysObject({ n: 1, backupId: id, dataKey, providers: [wrapping] });
  writeFileSync(join(folder, keys.name), keys.bytes);
  const checksum = `sha256:${createHash("sha256").update(sumsText).digest("hex")}`;
  names.set(metadata.checksum, checksum);
  const copy = metadataSchema.parse(JSON.parse(renamed(JSON.stringify({ ...metadata, key_id: keys.keyId }))));
  writeFileSync(join(folder, METADATA_NAME), encodeMetadata(copy, metadataKey(dataKey, id)));
}

/** A pack of one block, as another backup has it. */
function resealed(
  pack: Buffer,
  from: Template,
  to: { readonly id: BackupMetadata["id"]; readonly dataKey: Buffer },
  edit: (raw: Buffer) => Buffer = (raw) => raw,
): Buffer {
  const header = pack.subarray(0, PACK_HEADER_BYTES);
  const { artifactId, compression, packNumber } = decodePackHeader(header);
  const sealOf = (id: BackupMetadata["id"], dataKey: Buffer): PackSeal => ({
    ...{ header, packNumber, backupId: idBytes(id) },
    key: artifactKey(dataKey, Buffer.from(artifactId), id),
  });
  const block = pack.subarray(PACK_HEADER_BYTES);
  const { flags } = decodeBlockHeader(block);
  const { raw } = openBlock(sealOf(from.metadata.id, from.dataKey), compression, PACK_HEADER_BYTES, block);
  const content = edit(Buffer.from(raw));
  const copy = Buffer.alloc(PACK_HEADER_BYTES + BLOCK_HEADER_BYTES + content.length + TAG_BYTES);
  header.copy(copy);
  const lengths = { storedLength: content.length + TAG_BYTES, rawLength: content.length };
  sealBlock(sealOf(to.id, to.dataKey), copy, PACK_HEADER_BYTES, content, { ...lengths, flags });
  return copy;
}
