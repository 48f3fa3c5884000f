import * as fs from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { noise } from "../../helpers/bytes.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { restore, www } from "../restore/tools.ts";

const MIB = 1024 * 1024;
/** From here on chunks are larger, and with them the memory that a file is read into. */
const CLASS_END = 8192 * MIB;
/** Each piece is read into memory of its own, of which a block keeps some while there is little to fill it. */
const POSITIONS = Array.from({ length: 8 }, (_, i) => CLASS_END + (i - 4) * 16 * MIB + MIB);
const PIECE_BYTES = 256 * 1024;

it("an image that is nearly all holes is backed up across a change of chunk sizes, and what comes after it", async () => {
  const site = await openSite();
  const image = join(www(site), "an.img");
  const data = noise(POSITIONS.length * PIECE_BYTES);
  writeImage(image, data);
  fs.writeFileSync(join(www(site), "next.img"), noise(12 * MIB));

  await createOne(site);

  const to = join(tempDir(), "to");
  await restore(site.operations, { latest: true, to });
  const restored = join(to, image);
  expect(fs.statSync(restored).size).toBe(fs.statSync(image).size);
  expect(piecesOf(restored).equals(data)).toBe(true);
});

function writeImage(path: string, data: Buffer): void {
  const file = fs.openSync(path, "w");
  for (const [i, position] of POSITIONS.entries()) fs.writeSync(file, data, i * PIECE_BYTES, PIECE_BYTES, position);
  fs.closeSync(file);
}

function piecesOf(path: string): Buffer {
  const file = fs.openSync(path, "r");
  const data = Buffer.alloc(POSITIONS.length * PIECE_BYTES);
  for (const [i, position] of POSITIONS.entries()) fs.readSync(file, data, i * PIECE_BYTES, PIECE_BYTES, position);
  fs.closeSync(file);
  return data;
}
