import { readFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ArtifactWriter } from "../../src/format/artifact-writer.ts";
import { ChunkTable } from "../../src/format/chunk-table.ts";
import { IndexLines } from "../../src/format/index-lines.ts";
import { LineWriter } from "../../src/format/line-writer.ts";
import { SharedBuffers } from "../../src/format/shared-buffers.ts";
import { sha256 } from "../../src/format/workers/hashing.ts";
import { noise } from "../helpers/bytes.ts";
import { openPool } from "../helpers/format-run.ts";
import { tempDir } from "../helpers/temp-dir.ts";

test("more lines than wait behind an open block close it, and all are written in order", async () => {
  const file = join(tempDir(), "index");
  const options = { compression: { algorithm: "none", level: 0 }, check: true, object: 0, key: undefined } as const;
  const ids = { artifactId: noise(16), backupId: noise(16, 2) };
  const table = new ChunkTable("/nowhere");
  const writer = new ArtifactWriter({ ...options, ...ids, pool: openPool(1), table, put: async () => undefined });
  const index = new LineWriter(file);
  const lines = new IndexLines(writer, index);
  const buffer = await new SharedBuffers(1).acquire(1);
  const records = writer.add(buffer, 0, { lengths: Uint32Array.of(1), hashes: sha256(Uint8Array.of(0)) });
  buffer.release();
  const expected = Array.from({ length: 10_000 }, (_, i) => `line ${i} of ${records.length}\n`);

  const writing = lines.run();
  for (const line of expected) await lines.add(() => [line]);
  lines.end();
  await writing;
  index.close();
  await writer.finish();

  expect(readFileSync(file, "utf8")).toBe(expected.join(""));
});
