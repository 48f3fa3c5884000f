import { rmSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { ChosenEntries, selectedEntries, selectedParts } from "../../../src/operations/restore/selection.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const TREE = [
  "srv/",
  "srv/www/",
  "srv/www/a [1].jpg",
  "srv/www/b.jpg",
  "srv/www/logs/",
  "srv/www/logs/x.log",
  "srv/www/z.txt",
];

function indexOf(names: readonly string[]): string {
  const file = join(tempDir(), "index");
  const lines = names.map((name) => {
    const type = name.endsWith("/") ? "directory" : "file";
    return JSON.stringify({
      name: name.replace(/\/$/, ""),
      type,
      size: 0,
      mode: 0o644,
      uid: 0,
      gid: 0,
      mtime: "0",
      ctime: "0",
      inode: "1",
    });
  });
  const end = JSON.stringify({ end: true, entries: names.length, bytes: 0 });
  writeFileSync(file, `${[...lines, end].join("\n")}\n`);
  return file;
}

function select(include: readonly string[], exclude: readonly string[] = []): readonly string[] {
  const selected = [...selectedEntries(indexOf(TREE), { include, exclude })];
  return selected.map(({ entry, onlyAsParent }) => `${onlyAsParent ? "(" : ""}${entry.name}`);
}

const CASES: readonly (readonly [string, readonly string[], readonly string[], readonly string[]])[] = [
  ["a path means it and its parents", ["/srv/www/b.jpg"], [], ["(srv", "(srv/www", "srv/www/b.jpg"]],
  ["a path may do without its first slash", ["srv/www/z.txt"], [], ["(srv", "(srv/www", "srv/www/z.txt"]],
  ["a folder means all in it", ["/srv/www/logs/"], [], ["(srv", "(srv/www", "srv/www/logs", "srv/www/logs/x.log"]],
  ["a pattern matches at any depth", ["*.log"], [], ["(srv", "(srv/www", "(srv/www/logs", "srv/www/logs/x.log"]],
  ["a pattern with a slash matches at any depth", ["www/*.txt"], [], ["(srv", "(srv/www", "srv/www/z.txt"]],
  ["brackets in a name need no escape", ["/srv/www/a [1].jpg"], [], ["(srv", "(srv/www", "srv/www/a [1].jpg"]],
  [
    "an excluded folder takes what is in it along",
    ["/srv/www"],
    ["logs", "*.jpg"],
    ["(srv", "srv/www", "srv/www/z.txt"],
  ],
  ["nothing may be left", ["*.png"], [], []],
];

test.each(CASES)("%s", (_title, include, exclude, expected) => {
  expect(select(include, exclude)).toEqual(expected);
});

test("files that are not chosen are passed over with all their lines, whatever their names are made of", () => {
  const facts = { type: "file", size: 0, mode: 0o644, uid: 0, gid: 0, mtime: "0" };
  const folder = JSON.stringify({ name: 'd","type":"file"', ...facts, type: "directory" });
  const lines = [
    folder,
    JSON.stringify({ name: 'd","type":"file"/a\n', ...facts }),
    '{"more":1,"chunks":"of no use"}',
    JSON.stringify({ name: 'd","type":"file"/b\u00e9', ...facts }),
    JSON.stringify({ name_b64: Buffer.from([0xff]).toString("base64"), ...facts }),
  ];
  const file = join(tempDir(), "index");
  writeFileSync(file, `${[...lines, JSON.stringify({ end: true, entries: 4, bytes: 0 })].join("\n")}\n`);
  const chosenBy = (include: string) =>
    [...selectedEntries(file, { include: [include], exclude: [] })].map(({ entry }) => entry.name.toString("latin1"));

  expect(chosenBy("b\u00e9")).toEqual(['d","type":"file"', Buffer.from('d","type":"file"/b\u00e9').toString("latin1")]);
  expect(chosenBy("\ufffd")).toEqual(["\xff"]);
});

test("a file below one that is not chosen is refused all the same", () => {
  expect(() => [...selectedEntries(indexOf(["a", "a/b"]), { include: ["a/b"], exclude: ["a"] })]).toThrow("below one");
});

test("a part of a stream means it and what is in it", () => {
  const part = (name: string) => ({ name, type: "table", offset: 0, size: 1 });
  const entries = ["app", "app/public.orders", "apple", "shop"].map(part);

  const names = (include: readonly string[], exclude: readonly string[]) =>
    selectedParts(entries, { include, exclude }).map(({ name }) => name);

  expect(names(["app"], [])).toEqual(["app", "app/public.orders"]);
  expect(names([], ["app"])).toEqual(["apple", "shop"]);
});

function entriesOf(chosen: ChosenEntries): readonly string[] {
  return [...chosen].map(({ entry }) => String(entry.name));
}

test("chosen entries are read once, the second time from memory", () => {
  const file = indexOf(TREE);
  const budget = { parts: 10 };
  const chosen = new ChosenEntries(file, { include: ["*.jpg"], exclude: [] }, budget);
  const first = entriesOf(chosen);
  rmSync(file);
  expect(first).toEqual(["srv", "srv/www", "srv/www/a [1].jpg", "srv/www/b.jpg"]);
  expect(entriesOf(chosen)).toEqual(first);
  expect(budget.parts).toBe(6);
});

test("entries beyond the budget of a restore are read each time", () => {
  const file = indexOf(TREE);
  const budget = { parts: TREE.length + 3 };
  const within = new ChosenEntries(file, undefined, budget);
  const beyond = new ChosenEntries(file, undefined, budget);
  const all = entriesOf(within);
  expect(entriesOf(beyond)).toEqual(all);
  expect(entriesOf(beyond)).toEqual(all);
  rmSync(file);
  expect(entriesOf(within)).toEqual(all);
  expect(() => entriesOf(beyond)).toThrow("ENOENT");
});

test("an index that turns out damaged is not kept", () => {
  const file = indexOf(TREE);
  truncateSync(file, statSync(file).size - 10);
  const chosen = new ChosenEntries(file, undefined, { parts: 100 });
  expect(() => entriesOf(chosen)).toThrow("cut");
  expect(() => entriesOf(chosen)).toThrow("cut");
});

test.each([0, 1_000])("what is not a file can be had alone, kept in memory or not (%d parts)", (parts) => {
  const namesOf = (include: readonly string[]): readonly string[] => {
    const selection = include.length === 0 ? undefined : { include, exclude: [] };
    const chosen = new ChosenEntries(indexOf(TREE), selection, { parts });
    expect([...chosen].length).toBeGreaterThan(0);
    return [...chosen.withoutFiles()].map(({ entry, onlyAsParent }) => `${onlyAsParent ? "(" : ""}${entry.name}`);
  };

  expect(namesOf([])).toEqual(["srv", "srv/www", "srv/www/logs"]);
  expect(namesOf(["x.log"])).toEqual(["(srv", "(srv/www", "(srv/www/logs"]);
});
