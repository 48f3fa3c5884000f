import { createHash } from "node:crypto";
import { describe, expect, it } from "vitest";
import type { BackupId, StoredArtifact } from "../../../src/domain/backup.ts";
import { BackupctlError } from "../../../src/errors.ts";
import type { WholeBlock } from "../../../src/format/artifact-reader.ts";
import type { ChunkRef } from "../../../src/format/root.ts";
import { ChunkReferences, compareWithBlocks } from "../../../src/operations/verify/chunks.ts";
import { addFile, createOne, openSite, withFaults } from "../../helpers/open-site.ts";

const ID = "00000000-0000-4000-8000-000000000001" as BackupId;
const ARTIFACT: StoredArtifact = { name: "www.tree.zst", artifact_id: "0".repeat(32), packs: [128] };
const RAW = Buffer.from("sixteen bytes...");

function chunk(changes: Partial<ChunkRef> = {}): ChunkRef {
  const sha256 = createHash("sha256").update(RAW).digest("hex");
  return { object: 0, pack: 0, blockOffset: 28, blockStored: 38, offsetInBlock: 0, length: 16, sha256, ...changes };
}

describe("the chunks that an index refers to", () => {
  it("come in the order of their places, each once, however many there are", () => {
    const references = new ChunkReferences();
    const numbers = Array.from({ length: 5_000 }, (_, i) => (i * 1_999) % 2_500);
    for (const pack of numbers) references.add(chunk({ pack }));

    const given = [...references.inOrder(() => true)].map(({ pack }) => pack);

    expect(given).toEqual(Array.from({ length: 2_500 }, (_, i) => i));
  });
});

describe("an index that is compared with its blocks", () => {
  async function* blocks(): AsyncGenerator<WholeBlock> {
    for (const offset of [28, 78]) yield { pack: 0, offset, raw: Uint8Array.from(RAW) };
  }

  it("passes where every chunk is in its block", async () => {
    await compareWithBlocks(ID, ARTIFACT, blocks(), [chunk(), chunk({ blockOffset: 78 })]);
  });

  it.each([
    ["before", 27],
    ["between", 50],
    ["behind", 128],
  ])("is wrong about a block %s those that are there", async (_, blockOffset) => {
    const chunks = [chunk({ blockOffset }), chunk(), chunk({ blockOffset: 78 })];
    chunks.sort((a, b) => a.blockOffset - b.blockOffset);

    await expect(compareWithBlocks(ID, ARTIFACT, blocks(), chunks)).rejects.toThrow(
      `block at ${blockOffset}: the index refers to a block that is not there`,
    );
  });
});

it("a storage that breaks down under the blocks of an ancestor is no damage", async () => {
  const site = await openSite();
  const full = await site.context.catalog("read").then(async (catalog) => {
    await createOne(site);
    return catalog.list({}).backups[0]?.storagePath ?? "";
  });
  addFile(site);
  const { id } = await createOne(site, { mode: "incremental" });
  const away = new BackupctlError("STORAGE_FAILED", "the line is cut");
  const operations = await withFaults(site, (storage) => {
    storage.onKey("get", new RegExp(`^${full}/www\\.tree\\.zst`)).fail(away);
  });
  const request = { reference: id, all: false, deep: false, quick: false, components: [] };

  await expect(operations.verify(request)).rejects.toThrow("the line is cut");

  const { copies } = await site.operations.show(id);
  expect(copies.map(({ state }) => state)).toEqual(["complete"]);
});
