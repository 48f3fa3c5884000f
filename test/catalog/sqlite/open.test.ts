import { spawnSync } from "node:child_process";
import { existsSync, mkdtempSync, readdirSync, readFileSync, statSync, truncateSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import Sqlite from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Catalog } from "../../../src/catalog/catalog.ts";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import { removeTree } from "../../../src/platform/tree/removal.ts";
import { backupId, metadataOf } from "../../domain/builders.ts";

let directory: string;
let file: string;
let warnings: string[];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "backupctl-catalog-"));
  file = path.join(directory, "catalog.db");
  warnings = [];
});

afterEach(async () => {
  await removeTree(directory);
});

function open(options: { readonly readOnly?: boolean } = {}): Catalog {
  return openSqliteCatalog({
    file,
    warn: (message) => warnings.push(message),
    clock: { now: () => new Date("2026-01-11T02:00:00.000Z"), monotonicMs: () => 0 },
    ...options,
  });
}

function fill(count = 200): void {
  const catalog = open();
  for (let number = 1; number <= count; number += 1) catalog.complete(metadataOf({ id: backupId(number) }), []);
  catalog.close();
}

/** Overwrites pages in the middle of the file, as a bad disk does. */
/** All that the backups' tables consist of, but nothing that says which tables there are. */
function damageRows(): void {
  const database = new Sqlite(file, { readonly: true });
  const roots = database.prepare("SELECT rootpage FROM sqlite_master WHERE tbl_name IN ('backups', 'metadata')");
  const pages = roots.pluck().all().map(Number);
  database.close();
  const bytes = readFileSync(file);
  for (const page of pages) bytes.fill(0xa5, 4096 * (page - 1), 4096 * page);
  writeFileSync(file, bytes);
}

function countIn(catalog: Catalog): number {
  return catalog.list({ limit: 1 }).total;
}

const ASIDE = "catalog.db.damaged-2026-01-11T02-00-00.000Z";

describe("a damaged catalog", () => {
  it.each([
    ["is not a database", () => writeFileSync(file, "this is no database, whatever its name says. ".repeat(100))],
    ["was cut short", () => truncateSync(file, Math.floor(statSync(file).size / 2 / 4096) * 4096)],
  ])("that %s is set aside, and an empty one takes its place", (_what, damage) => {
    fill();
    const before = statSync(file).ino;
    damage();
    const catalog = open();

    expect(countIn(catalog)).toBe(0);
    catalog.begin({ ...runFacts, id: backupId(1) });
    catalog.close();
    expect(statSync(path.join(directory, ASIDE)).ino).toBe(before);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/was damaged .* set aside as .*damaged-2026/);
    expect(countIn(open())).toBe(1);
  });

  it("is found by the check that follows a crash", () => {
    fill();
    const crashed = new Sqlite(file);
    crashed.exec("INSERT INTO facts VALUES ('dirty', 'x')");
    crashed.close();
    damageRows();

    expect(countIn(open())).toBe(0);
    expect(existsSync(path.join(directory, ASIDE))).toBe(true);
  });

  it("that a command meets is an error of that command, and set aside by the next one", () => {
    fill();
    damageRows();
    const catalog = open();
    expect(() => catalog.list({}).backups.map((backup) => backup.metadata)).toThrow(
      expect.objectContaining({ code: "CATALOG_FAILED", hint: expect.stringContaining("catalog rebuild") }),
    );
    catalog.close();
    expect(warnings).toEqual([]);

    expect(countIn(open())).toBe(0);
    expect(readdirSync(directory).filter((name) => name.includes("suspect"))).toEqual([]);
    expect(warnings).toHaveLength(1);
  });

  it("is an empty one for a reader, and stays where it is", () => {
    writeFileSync(file, "this is no database. ".repeat(500));

    expect(countIn(open({ readOnly: true }))).toBe(0);
    expect(readdirSync(directory)).toEqual(["catalog.db"]);
    expect(warnings[0]).toContain("is damaged");
  });
});

const runFacts = {
  type: "full",
  mode: "full",
  category: "daily",
  timestamp: "2026-01-11T02:00:00.000Z",
  host: "web-1",
  createdBy: "root",
  storagePath: "x",
  parentId: undefined,
  pid: 1,
  tags: [],
  description: undefined,
};

it("survives a process that is killed between two writes", () => {
  const script = `
    import { openSqliteCatalog } from ${JSON.stringify(path.resolve("src/catalog/sqlite/open.ts"))};
    const catalog = openSqliteCatalog({ file: ${JSON.stringify(file)}, warn: () => {} });
    catalog.begin(${JSON.stringify({ ...runFacts, id: backupId(1) })});
    process.kill(process.pid, "SIGKILL");
  `;
  const killed = spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });

  expect(killed.signal, killed.stderr).toBe("SIGKILL");
  const catalog = open();
  expect(catalog.get(backupId(1))?.status).toBe("running");
  expect(warnings).toEqual([]);
  catalog.close();
});

it("is read while another process holds the write lock", () => {
  fill(3);
  const writer = new Sqlite(file);
  writer.exec("BEGIN IMMEDIATE; DELETE FROM backups");

  const reader = open({ readOnly: true });
  expect(countIn(reader)).toBe(3);
  expect(() => reader.setStatus(backupId(1), "deleting")).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
  reader.close();
  const opened = open();
  expect(countIn(opened)).toBe(3);
  opened.close();
  writer.exec("ROLLBACK");
  writer.close();
});

it("is empty for a reader where there is none, and is not made", () => {
  expect(countIn(open({ readOnly: true }))).toBe(0);
  expect(readdirSync(directory)).toEqual([]);
});

it.each([0, -1])("with tables and the schema's version %d is set aside as damaged", (version) => {
  fill(1);
  const changed = new Sqlite(file);
  changed.pragma(`user_version = ${version}`);
  changed.close();

  expect(countIn(open())).toBe(0);
  expect(warnings).toEqual([expect.stringContaining(ASIDE)]);
});

it.each([true, false])("is refused at once where a pipe is in its place, read only: %s", (readOnly) => {
  spawnSync("mkfifo", [file]);

  expect(() => open({ readOnly })).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
});

it("of a newer release is refused and left as it is", () => {
  fill(1);
  const newer = new Sqlite(file);
  newer.pragma("user_version = 99");
  newer.close();

  expect(() => open()).toThrow(
    expect.objectContaining({ code: "CATALOG_FAILED", message: expect.stringContaining("newer release (schema 99)") }),
  );
  expect(readdirSync(directory)).toEqual(["catalog.db"]);
});

it("is made anew when a kill left only an empty file", () => {
  writeFileSync(file, "");

  expect(countIn(open())).toBe(0);
  expect(warnings).toEqual([]);
});

it("says which file it can't open", () => {
  writeFileSync(path.join(directory, "state"), "a file, not a folder");
  file = path.join(directory, "state", "catalog.db");

  expect(() => open()).toThrow(
    expect.objectContaining({ code: "CATALOG_FAILED", message: expect.stringContaining(file) }),
  );
});
