import * as path from "node:path";
import Sqlite from "better-sqlite3";
import { expect, it } from "vitest";
import type { Catalog, RestoreEvent } from "../../../src/catalog/catalog.ts";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import type { RestoredPlace } from "../../../src/domain/unfinished-restore.ts";
import { backupId, metadataOf } from "../../domain/builders.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const ONE: RestoredPlace = { source: "one", place: "/one.db", stage: "beside", marked: false };
const RESTORE: RestoreEvent = {
  id: "r1",
  backupId: backupId(1),
  at: "2026-01-11T02:00:00.000Z",
  target: "in place",
  status: "running",
  bytes: 0,
  seconds: 0,
  places: [ONE],
};

function opened(file = path.join(tempDir(), "catalog.db")): Catalog {
  return openSqliteCatalog({ file, warn: (message) => expect.unreachable(message) });
}

it("knows how far a restore is that does not end, until nothing is left to say of it", () => {
  const catalog = opened();
  catalog.addRestore(RESTORE);

  catalog.setPlaces("r1", [{ ...ONE, stage: "come" }]);
  const running = catalog.unfinishedRestores();
  catalog.setPlaces("r1", []);

  expect(running).toEqual([
    {
      id: "r1",
      at: RESTORE.at,
      target: "in place",
      status: "running",
      places: [{ source: "one", place: "/one.db", stage: "come", marked: false }],
    },
  ]);
  expect(catalog.unfinishedRestores()).toEqual([]);
  catalog.close();
});

it("keeps a restore that died, or failed half-way, when its backup is deleted", () => {
  const catalog = opened();
  catalog.complete(metadataOf({ id: backupId(1) }), []);
  catalog.addRestore(RESTORE);
  catalog.addRestore({ ...RESTORE, id: "r2", status: "completed" });
  catalog.addRestore({ ...RESTORE, id: "r3", status: "failed" });
  catalog.addRestore({ ...RESTORE, id: "r4", status: "mixed" });

  catalog.remove(backupId(1));

  expect(catalog.unfinishedRestores()).toMatchObject([
    { id: "r1", status: "running" },
    { id: "r4", status: "mixed" },
  ]);
  expect(catalog.restoresOf(backupId(1)).count).toBe(0);
  catalog.close();
});

it("takes a restore whose places an earlier release did not write for one that may have begun with all of them", () => {
  const file = path.join(tempDir(), "catalog.db");
  const before = opened(file);
  before.addRestore(RESTORE);
  before.close();
  const database = new Sqlite(file);
  database.exec(`UPDATE restores SET sources = '["one"]'`);
  database.close();

  const catalog = opened(file);

  expect(catalog.unfinishedRestores()).toMatchObject([{ places: [{ source: "one", stage: "coming" }] }]);
  catalog.close();
});
