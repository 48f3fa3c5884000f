import { spawnSync } from "node:child_process";
import * as path from "node:path";
import Sqlite from "better-sqlite3";
import { expect, it } from "vitest";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import { backupId, metadataOf } from "../../domain/builders.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const SOURCES = path.resolve("src/catalog/sqlite");
const BACKUPS = 300;

/** A step of a release to come, between whose statements this process may die. The small cache makes SQLite write pages before the end of it. */
const STEPS = [
  "PRAGMA cache_spill = 1; PRAGMA cache_size = 4",
  "ALTER TABLE backups ADD COLUMN label TEXT",
  "UPDATE backups SET label = hex(zeroblob(2000))",
  "CREATE INDEX backups_by_label ON backups (label)",
  "DROP TABLE artifacts",
  "CREATE TABLE labels (label TEXT) STRICT",
];

/** A process of that release opens the catalog, and dies in the middle of its migration. */
function migrate(file: string, dieAfter: number | undefined) {
  const statements = dieAfter === undefined ? STEPS : STEPS.toSpliced(dieAfter, 0, "SELECT die()");
  const script = `
    import Sqlite from "better-sqlite3";
    import { MIGRATIONS } from ${JSON.stringify(`${SOURCES}/migrations.ts`)};
    import { openSqliteCatalog } from ${JSON.stringify(`${SOURCES}/open.ts`)};
    MIGRATIONS.push(${JSON.stringify(statements.join(";\n"))});
    const { exec } = Sqlite.prototype;
    Sqlite.prototype.exec = function (sql) {
      this.function("die", () => process.kill(process.pid, "SIGKILL"));
      return exec.call(this, sql);
    };
    const catalog = openSqliteCatalog({ file: ${JSON.stringify(file)}, warn: (message) => console.error(message) });
    console.log(catalog.list({ limit: 1 }).total);
    catalog.close();
  `;
  return spawnSync(process.execPath, ["--input-type=module", "-e", script], { encoding: "utf8" });
}

function versionOf(file: string): unknown {
  const database = new Sqlite(file, { readonly: true });
  try {
    return database.pragma("user_version", { simple: true });
  } finally {
    database.close();
  }
}

it.each([1, 2, 3, 4, 5, 6])("a catalog is the old one after a kill behind part %i of a migration", (dieAfter) => {
  const file = path.join(tempDir(), "catalog.db");
  const warnings: string[] = [];
  const open = () => openSqliteCatalog({ file, warn: (message) => warnings.push(message) });
  const filled = open();
  for (let number = 1; number <= BACKUPS; number++) filled.complete(metadataOf({ id: backupId(number) }), []);
  filled.close();
  const before = versionOf(file);

  const killed = migrate(file, dieAfter);

  expect(killed.signal, killed.stderr).toBe("SIGKILL");
  expect(versionOf(file)).toBe(before);
  const old = open();
  expect(old.list({}).backups.map(({ metadata }) => metadata?.id)).toHaveLength(BACKUPS);
  old.complete(metadataOf({ id: backupId(BACKUPS + 1) }), []);
  old.close();
  expect(warnings).toEqual([]);

  const next = migrate(file, undefined);

  expect(next).toMatchObject({ status: 0, stderr: "", stdout: `${BACKUPS + 1}\n` });
  expect(versionOf(file)).toBe(Number(before) + 1);
  expect(open).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
});
