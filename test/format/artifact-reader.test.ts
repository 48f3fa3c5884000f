import { zstdCompressSync } from "node:zlib";
import fc from "fast-check";
import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import type { StoredArtifact } from "../../src/domain/backup.ts";
import { readArtifact, readWholeRoot } from "../../src/format/artifact-reader.ts";
import { encodePackHeader, sealBlock } from "../../src/format/block.ts";
import { idBytes } from "../../src/format/data-key.ts";
import { type PackSource, StoredDamage } from "../../src/format/pack-source.ts";
import { type WrittenArtifacts, writeStreamSource } from "../../src/format/source-writer.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { backupId } from "../domain/builders.ts";
import { flipped, noise } from "../helpers/bytes.ts";
import { type FormatRun, formatRun } from "../helpers/format-run.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";

const MIB = 1024 * 1024;
const pool = new WorkerPool(2);
afterAll(() => pool.close());

async function backUp(
  bytes: Buffer,
  encrypted: boolean,
  directory = tempDir(),
): Promise<{ made: FormatRun; artifacts: WrittenArtifacts }> {
  const made = formatRun(pool, { kind: "dump", encrypted, directory });
  const dump = {
    bytes: (async function* () {
      yield Buffer.from(bytes);
    })(),
    finish: async () => ({ entries: [] }),
  };
  return { made, artifacts: (await writeStreamSource(dump, made.run, made.source)).artifacts };
}

/** The packs of a run, some of them replaced; `undefined`: missing. */
function changed(made: FormatRun, objects: Readonly<Record<string, Buffer | undefined>>): PackSource {
  return {
    dataKey: made.packs.dataKey,
    get: async (origin, name, offset, length) =>
      name in objects
        ? objects[name] && Buffer.from(objects[name].subarray(offset, offset + length))
        : made.packs.get(origin, name, offset, length),
  };
}

const read = (made: FormatRun, artifact: StoredArtifact, packs = made.packs) =>
  readWholeRoot(made.run.backupId, artifact, made.run.keyOf !== undefined, packs, pool);

describe.each([
  ["sealed", true],
  ["unsealed", false],
])("a %s artifact", (_, encrypted) => {
  let small: Awaited<ReturnType<typeof backUp>>;
  let large: Awaited<ReturnType<typeof backUp>>;
  let name: string;
  const directories = [suiteTempDir(), suiteTempDir()];
  beforeAll(async () => {
    small = await backUp(noise(60), encrypted, directories[0]);
    large = await backUp(noise(40 * MIB), encrypted, directories[1]);
    name = `app.dump.zst${encrypted ? ".enc" : ""}`;
  });

  it("is read block by block in order, through all packs", async () => {
    const places: (readonly number[])[] = [];
    const parts: Uint8Array[] = [];
    const { made, artifacts } = large;
    for await (const { pack, offset, raw } of readArtifact(
      made.run.backupId,
      artifacts.data,
      encrypted,
      made.packs,
      pool,
    )) {
      places.push([pack, offset]);
      parts.push(raw);
    }

    expect(Buffer.concat(parts).equals(noise(40 * MIB))).toBe(true);
    expect(places).toEqual(places.toSorted(([p = 0, o = 0], [q = 0, r = 0]) => p - q || o - r));
    expect(new Set(places.map(([pack]) => pack))).toEqual(new Set([0, 1, 2]));
  });

  it("shows every bit that was turned over, and in which object", async () => {
    const { made, artifacts } = small;
    const pack = made.objects.get(`${name}.00000000`)!;

    for (let bit = 0; bit < pack.length * 8; bit++) {
      const packs = changed(made, { [`${name}.00000000`]: flipped(pack, bit) });
      const error = await read(made, artifacts.data, packs).catch((reason: unknown) => reason);
      expect(error).toBeInstanceOf(StoredDamage);
      expect(error).toMatchObject({ origin: made.run.backupId, objectName: `${name}.00000000` });
    }
  });

  it("shows a bit that was turned over anywhere in many blocks", async () => {
    const { made, artifacts } = large;
    const pack = made.objects.get(`${name}.00000001`)!;
    await fc.assert(
      fc.asyncProperty(fc.nat(pack.length * 8 - 1), async (bit) => {
        const packs = changed(made, { [`${name}.00000001`]: flipped(pack, bit) });
        await expect(read(made, artifacts.data, packs)).rejects.toMatchObject({ objectName: `${name}.00000001` });
      }),
      { numRuns: 4 },
    );
  });

  it("gives every block before the damage", async () => {
    const { made, artifacts } = large;
    const pack = made.objects.get(`${name}.00000001`)!;
    const packs = changed(made, { [`${name}.00000001`]: flipped(pack, (pack.length - 1) * 8) });
    let size = 0;
    const reading = (async () => {
      for await (const { raw } of readArtifact(made.run.backupId, artifacts.data, encrypted, packs, pool))
        size += raw.length;
    })();

    await expect(reading).rejects.toThrow(StoredDamage);
    expect(size).toBeGreaterThan(pack.length);
  });

  it("that ends early is truncated", async () => {
    const { made, artifacts } = large;
    const artifact = { ...artifacts.data, packs: artifacts.data.packs.slice(0, -1) };

    await expect(read(made, artifact)).rejects.toThrow(`${name} is truncated: its last block is missing`);
  });

  it("may say that it has more packs than a call has arguments", async () => {
    const { made, artifacts } = small;
    const packs = [...artifacts.data.packs, ...new Array<number>(200_000).fill(100)];

    await expect(read(made, { ...artifacts.data, packs })).rejects.toThrow(`${name}.00000001: is missing`);
  });

  it("that goes on behind its last block is damaged", async () => {
    const { made, artifacts } = small;
    const pack = made.objects.get(`${name}.00000000`)!;
    const block = pack.subarray(28);
    const twice = Buffer.concat([pack, block]);
    const next = Buffer.concat([pack.subarray(0, 11), Buffer.of(1), pack.subarray(12)]);

    const sameBlock = read(
      made,
      { ...artifacts.data, packs: [twice.length] },
      changed(made, { [`${name}.00000000`]: twice }),
    );
    await expect(sameBlock).rejects.toThrow(StoredDamage);
    const nextPack = read(
      made,
      { ...artifacts.data, packs: [pack.length, next.length] },
      changed(made, { [`${name}.00000001`]: next }),
    );
    await expect(nextPack).rejects.toMatchObject({ objectName: `${name}.00000001` });
  });

  it.each<[string, (pack: Buffer) => Buffer | undefined, string]>([
    ["is missing", () => undefined, "is missing"],
    ["is empty", () => Buffer.alloc(0), "has 0 bytes instead of"],
    ["is cut", (pack) => pack.subarray(0, -1), "bytes instead of"],
    ["is longer", (pack) => Buffer.concat([pack, Buffer.alloc(1)]), "has more than its"],
  ])("of which a pack %s is damaged", async (__, change, message) => {
    const { made, artifacts } = large;
    const object = `${name}.00000001`;
    const packs = changed(made, { [object]: change(made.objects.get(object)!) });

    const error = await read(made, artifacts.data, packs).catch((reason: unknown) => reason);

    expect(error).toMatchObject({ objectName: object, message: expect.stringContaining(message) });
  });

  it("whose packs were swapped is damaged", async () => {
    const { made, artifacts } = large;
    const [one, two] = [`${name}.00000000`, `${name}.00000001`];
    const packs = changed(made, { [one]: made.objects.get(two), [two]: made.objects.get(one) });
    const [first = 0, second = 0, ...rest] = artifacts.data.packs;

    const error = await read(made, { ...artifacts.data, packs: [second, first, ...rest] }, packs).catch(
      (e: unknown) => e,
    );

    expect(error).toMatchObject({ objectName: one, message: `${one}: is pack 1 of its artifact` });
  });

  it("that holds a header only is damaged", async () => {
    const { made, artifacts } = small;
    const header = made.objects.get(`${name}.00000000`)!.subarray(0, 28);
    const packs = changed(made, { [`${name}.00000000`]: header });

    await expect(read(made, { ...artifacts.data, packs: [28] }, packs)).rejects.toThrow("holds no block");
  });
});

test("a root is not read further than any root is large", async () => {
  const packed = zstdCompressSync(Buffer.alloc(16 * MIB));
  const [stored, blocks] = [packed.length + 16, 17];
  const header = encodePackHeader({
    compression: "zstd",
    encrypted: false,
    packNumber: 0,
    artifactId: Buffer.alloc(16),
  });
  const pack = Buffer.alloc(28 + blocks * (12 + stored));
  header.copy(pack);
  const seal = { header, backupId: idBytes(backupId(1)), packNumber: 0, key: undefined };
  for (let i = 0; i < blocks; i++) {
    const block = { storedLength: stored, rawLength: 16 * MIB, flags: i === blocks - 1 ? 1 : 0 };
    sealBlock(seal, pack, 28 + i * (12 + stored), packed, block);
  }
  const source: PackSource = { get: async () => Buffer.from(pack), dataKey: async () => undefined };
  const artifact = { artifact_id: "0".repeat(32), name: "app.dump.root.zst", packs: [pack.length] };

  await expect(readWholeRoot(backupId(1), artifact, false, source, pool)).rejects.toThrow(
    "app.dump.root.zst is larger than 256 MiB",
  );
});

test("what the metadata says of encryption, compression and artifact decides, not the pack", async () => {
  const { made, artifacts } = await backUp(noise(10), true);
  const other = await backUp(noise(10), true);
  const { data } = artifacts;
  const readAs = (artifact: StoredArtifact, encrypted: boolean, packs = made.packs) =>
    readWholeRoot(made.run.backupId, artifact, encrypted, packs, pool);

  await expect(readAs(data, false)).rejects.toThrow("its cipher is not what the metadata says");
  const renamed = { ...data, name: "app.dump.gz.enc" };
  const gz = changed(made, { "app.dump.gz.enc.00000000": made.objects.get("app.dump.zst.enc.00000000") });
  await expect(readAs(renamed, true, gz)).rejects.toThrow("its compression is not what the metadata says");
  await expect(readAs(other.artifacts.data, true)).rejects.toThrow("belongs to another artifact");
  const strange = changed(made, { "strange.00000000": made.objects.get("app.dump.zst.enc.00000000") });
  const unnamed = readAs({ ...data, name: "strange" }, true, strange);
  await expect(unnamed).rejects.toThrow("strange is not an artifact's name");
});

test("a pack that claims to be larger than any is not fetched", async () => {
  const { made, artifacts } = await backUp(noise(10), true);
  const asked: number[] = [];
  const packs: PackSource = {
    ...made.packs,
    get: async (_origin, _name, _offset, length) => {
      asked.push(length);
      return undefined;
    },
  };

  await expect(read(made, { ...artifacts.data, packs: [2 ** 40] }, packs)).rejects.toThrow(StoredDamage);
  expect(asked).toEqual([]);
});

test("an artifact without packs is empty", async () => {
  const { made, artifacts } = await backUp(Buffer.alloc(0), true);

  expect(await read(made, artifacts.data)).toHaveLength(0);
});

test("an error of the storage is thrown as it is", async () => {
  const { made, artifacts } = await backUp(noise(10), true);
  const packs: PackSource = { ...made.packs, get: () => Promise.reject(new Error("no route to host")) };

  await expect(read(made, artifacts.data, packs)).rejects.toThrow("no route to host");
});
