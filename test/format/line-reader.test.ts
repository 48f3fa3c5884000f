import { createHash } from "node:crypto";
import { readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import fc from "fast-check";
import { expect, test } from "vitest";
import { DamageError } from "../../src/format/block.ts";
import { LineReader } from "../../src/format/line-reader.ts";
import { LineWriter } from "../../src/format/line-writer.ts";
import { noise } from "../helpers/bytes.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const MIB = 1024 * 1024;

function linesOf(file: string): Buffer[] {
  const reader = new LineReader(file);
  try {
    const lines: Buffer[] = [];
    for (let line = reader.next(); line !== undefined; line = reader.next()) lines.push(line);
    return lines;
  } finally {
    reader.close();
  }
}

function fileWith(content: string | Buffer): string {
  const file = join(tempDir(), "lines");
  writeFileSync(file, content);
  return file;
}

test("lines come back as they were written, as text or bytes, and size and hash are the file's", () => {
  const directory = tempDir();
  let runs = 0;
  fc.assert(
    fc.property(fc.array(fc.oneof(fc.string(), fc.uint8Array())), (given) => {
      const lines = given.map((line) => Buffer.from(line).filter((byte) => byte !== 0x0a));
      const file = join(directory, String(runs++));

      const writer = new LineWriter(file);
      for (const [i, line] of lines.entries()) {
        const withFeed = Buffer.concat([line, Buffer.from("\n")]);
        const isText = Buffer.from(withFeed.toString()).equals(withFeed);
        writer.write(i % 2 === 0 && isText ? withFeed.toString() : withFeed);
      }
      const written = writer.close();

      expect(linesOf(file).map((line) => Buffer.from(line))).toEqual(lines.map((line) => Buffer.from(line)));
      expect(written.size).toBe(statSync(file).size);
      expect(written.sha256).toBe(createHash("sha256").update(readFileSync(file)).digest("hex"));
    }),
  );
});

test.each([
  ["one byte less than a read", MIB - 1],
  ["exactly a read", MIB],
  ["one byte more than a read", MIB + 1],
  ["several reads", 3 * MIB + 5],
])("a line feed that lies behind %s is found", (_, length) => {
  const long = "x".repeat(length);

  const lines = linesOf(fileWith(`${long}\n\nshort\n`)).map(String);

  expect(lines.map((line) => line.length)).toEqual([length, 0, 5]);
  expect(lines[0] === long).toBe(true);
});

test("lines stay as they are while others are read", () => {
  const wanted = Array.from({ length: 300 }, (_, i) => noise(10_000, i).toString("hex"));

  const lines = linesOf(fileWith(`${wanted.join("\n")}\n`));

  expect(lines.map(String)).toEqual(wanted);
});

test("an empty file has no lines", () => {
  expect(linesOf(fileWith(""))).toEqual([]);
});

test("a file that ends inside a line is damage", () => {
  expect(() => linesOf(fileWith("whole\ncu"))).toThrow(DamageError);
});

test("a line without end is given up before it fills the memory", () => {
  const file = fileWith("");
  truncateSync(file, 70 * MIB);

  expect(() => linesOf(file)).toThrow(new DamageError("a line of the index is too long"));
});

test("an existing index is not overwritten", () => {
  expect(() => new LineWriter(fileWith("there"))).toThrow("EEXIST");
});
