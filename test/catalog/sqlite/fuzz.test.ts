import { readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import fc from "fast-check";
import { beforeAll, expect, test } from "vitest";
import type { Catalog } from "../../../src/catalog/catalog.ts";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import { backupId, metadataOf } from "../../domain/builders.ts";
import { fuzz, jsonText, mutatedBytes, mutatedJson } from "../../helpers/fuzz.ts";
import { suiteTempDir } from "../../helpers/temp-dir.ts";

/** Whatever the catalog's file and rows say, a command gets what it asks for, a new catalog, or CATALOG_FAILED. */

const directory = suiteTempDir();
const file = join(directory, "catalog.db");
const at = "2026-01-11T02:00:00.000Z";
const notes = {
  hold: { at, reason: "audit", by: "me" },
  tags: ["a"],
  verified: { at, depth: "deep", passed: true, host: "h" },
};
let sound: Buffer;

beforeAll(() => {
  const catalog = open();
  for (let number = 1; number <= 20; number++) catalog.complete(metadataOf({ id: backupId(number) }), []);
  catalog.setCopy({ backupId: backupId(1), storage: "disk", state: "complete", at });
  catalog.addEvent({
    at,
    action: "create",
    user: "me",
    backupId: backupId(1),
    status: "completed",
    detail: { a: 1 },
  });
  catalog.close();
  sound = readFileSync(file);
});

function open(): Catalog {
  return openSqliteCatalog({ file, warn: () => undefined });
}

/** Everything that has a parser of its own. */
function readAll(): void {
  const catalog = open();
  try {
    const { backups } = catalog.list({});
    for (const backup of backups) {
      backup.metadata;
      catalog.get(backup.id);
    }
    catalog.events({});
    catalog.recentDurations({ operation: "create" });
    catalog.addEvent({ at, action: "create", user: "me", status: "completed", detail: {} });
  } finally {
    catalog.close();
  }
}

function begin(bytes: Uint8Array): void {
  for (const name of readdirSync(directory)) rmSync(join(directory, name));
  writeFileSync(file, bytes);
}

test("any bytes in place of a catalog", async () => {
  await fuzz(mutatedBytes(sound), begin, readAll, readAll);
});

const ROWS = [
  ["metadata", "content", metadataOf({ id: backupId(1) })],
  ["backups", "notes", notes],
  ["backups", "tags", ["a"]],
  ["events", "detail", { a: 1 }],
] as const;
const strange = fc.constantFrom(...ROWS).chain(([table, column, value]) =>
  fc.oneof(
    mutatedJson(value).map((changed) => [table, column, jsonText(changed)] as const),
    mutatedBytes(Buffer.from(jsonText(value))).map((bytes) => [table, column, bytes.toString("latin1")] as const),
  ),
);

test("any text in a row", async () => {
  await fuzz(
    strange,
    ([table, column, text]) => {
      begin(sound);
      const database = new Sqlite(file);
      database.prepare(`UPDATE ${table} SET ${column} = ?`).run(text);
      database.close();
    },
    readAll,
    readAll,
  );
  expect(readdirSync(directory)).toContain("catalog.db");
});
