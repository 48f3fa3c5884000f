import { spawnSync } from "node:child_process";
import * as path from "node:path";
import Sqlite from "better-sqlite3";
import { expect, it } from "vitest";
import { MIGRATIONS } from "../../../src/catalog/sqlite/migrations.ts";
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

/** Takes the step back that led to a version. */
const UNDO: Readonly<Record<number, string>> = {
  2: "ALTER TABLE backups DROP COLUMN keys_sha256",
  3: "DROP TABLE schedule_runs; DROP TABLE schedules",
};

interface Migration {
  /** The version that it begins with. */
  readonly version: number;
  readonly statements: readonly string[];
  /** None of them: it goes to its end. */
  readonly dieAfter?: number;
}

/** A process opens the catalog, and may die in the middle of its migration. */
function migrate(file: string, { version, statements, dieAfter }: Migration) {
  const all = dieAfter === undefined ? statements : statements.toSpliced(dieAfter, 0, "SELECT die()");
  const script = `
    import Sqlite from "better-sqlite3";
    import { MIGRATIONS } from ${JSON.stringify(`${SOURCES}/migrations.ts`)};
    import { openSqliteCatalog } from ${JSON.stringify(`${SOURCES}/open.ts`)};
    MIGRATIONS[${version}] = ${JSON.stringify(all.join(";\n"))};
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

/** As an earlier release, the one that had `version`, would have left it. */
function makeCatalog(version: number): string {
  const file = path.join(tempDir(), "catalog.db");
  const filled = openSqliteCatalog({ file, warn: () => undefined });
  for (let number = 1; number <= BACKUPS; number++) filled.complete(metadataOf({ id: backupId(number) }), []);
  filled.close();
  const database = new Sqlite(file);
  for (let reached = MIGRATIONS.length; reached > version; reached--) database.exec(UNDO[reached] ?? "");
  database.pragma(`user_version = ${version}`);
  database.close();
  return file;
}

function versionOf(file: string): unknown {
  const database = new Sqlite(file, { readonly: true });
  try {
    return database.pragma("user_version", { simple: true });
  } finally {
    database.close();
  }
}

/** Opens it with this release, which finds all in it and can add to it. */
function expectWhole(file: string): void {
  const warnings: string[] = [];
  const catalog = openSqliteCatalog({ file, warn: (message) => warnings.push(message) });
  expect(catalog.list({}).backups.map(({ metadata }) => metadata?.id)).toHaveLength(BACKUPS);
  catalog.complete(metadataOf({ id: backupId(BACKUPS + 1) }), []);
  catalog.close();
  expect(warnings).toEqual([]);
}

it.each([1, 2, 3, 4, 5, 6])("a catalog is the old one after a kill behind part %i of a migration", (dieAfter) => {
  const version = MIGRATIONS.length;
  const file = makeCatalog(version);

  const killed = migrate(file, { version, statements: STEPS, dieAfter });

  expect(killed.signal, killed.stderr).toBe("SIGKILL");
  expect(versionOf(file)).toBe(version);
  expectWhole(file);

  const next = migrate(file, { version, statements: STEPS });

  expect(next).toMatchObject({ status: 0, stderr: "", stdout: `${BACKUPS + 1}\n` });
  expect(versionOf(file)).toBe(version + 1);
  expect(() => expectWhole(file)).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
});

/** Of the steps that catalogs with backups have gone through each place to die in. */
const PLACES = MIGRATIONS.flatMap((step, version) => {
  const statements = step
    .trim()
    .split(";\n")
    .map((statement) => statement.trim());
  const real = statements.filter((statement) => statement !== "");
  return version === 0 ? [] : real.map((_, i) => ({ version, statements: real, dieAfter: i + 1 }));
});

it.each(PLACES)(
  "a catalog of version $version that was killed behind part $dieAfter of its step to the next is brought up to date",
  ({ version, statements, dieAfter }) => {
    const file = makeCatalog(version);

    const killed = migrate(file, { version, statements, dieAfter });

    expect(killed.signal, killed.stderr).toBe("SIGKILL");
    expect(versionOf(file)).toBe(version);
    expectWhole(file);
    expect(versionOf(file)).toBe(MIGRATIONS.length);
  },
);
