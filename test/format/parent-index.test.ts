import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ChunkTable } from "../../src/format/chunk-table.ts";
import { loadChunks, ParentEntries, UnreadableParent } from "../../src/format/parent-index.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const LINES = [
  '{"name":"a","type":"file"}',
  '{"more":"a"}',
  '{"name":"b","type":"file"}',
  '{"name":"c","type":"file"}',
  '{"end":true}',
];

function open(lines: readonly string[]): ParentEntries {
  const file = join(tempDir(), "index");
  writeFileSync(file, lines.map((line) => `${line}\n`).join(""));
  return new ParentEntries(file);
}

function found(parent: ParentEntries, name: string): readonly string[] | undefined {
  return parent.find(Buffer.from(name))?.map(String);
}

test("the parent's entries are found in order, with all of their lines, and those that nobody asked for are counted", () => {
  const parent = open(LINES);

  expect(found(parent, "Z")).toBeUndefined();
  expect(found(parent, "a")).toEqual(LINES.slice(0, 2));
  expect(found(parent, "c")).toEqual(LINES.slice(3, 4));
  expect(found(parent, "d")).toBeUndefined();
  expect(found(parent, "e")).toBeUndefined();
  expect(parent.countUnmatched()).toBe(1);
  parent.close();
});

test("a parent whose last line is missing has no more entries", () => {
  const parent = open(LINES.slice(0, 3));

  expect(found(parent, "b")).toEqual(LINES.slice(2, 3));
  expect(found(parent, "c")).toBeUndefined();
  parent.close();
});

test("a chunk of the parent that has no place is damage", () => {
  const directory = tempDir();
  const file = join(directory, "index");
  writeFileSync(file, `${JSON.stringify({ chunks: [["a".repeat(64), 1, 1, 1, 28, 0, 0]] })}\n`);

  expect(() => loadChunks(file, new ChunkTable(directory))).toThrow(UnreadableParent);
});

test.each([1, 2, 3, 4, 5, 6])("a chunk of the parent whose number %i is beyond all sizes is damage", (place) => {
  const directory = tempDir();
  const file = join(directory, "index");
  const tuple = ["a".repeat(64), 1, 1, 1, 28, 17, 0].with(place, 2 ** 53);
  writeFileSync(file, `${JSON.stringify({ chunks: [tuple] })}\n`);

  expect(() => loadChunks(file, new ChunkTable(directory))).toThrow(UnreadableParent);
});
