import { mkdtempSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import Sqlite from "better-sqlite3";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Catalog, NewRun } from "../../../src/catalog/catalog.ts";
import { openSqliteCatalog } from "../../../src/catalog/sqlite/open.ts";
import type { BackupId } from "../../../src/domain/backup.ts";
import { removeTree } from "../../../src/platform/tree/removal.ts";
import { backupId, metadataOf, REPOSITORY_ID, sourceOf } from "../../domain/builders.ts";

let directory: string;
let file: string;
let catalog: Catalog;
const warnings: string[] = [];

beforeEach(() => {
  directory = mkdtempSync(path.join(tmpdir(), "backupctl-catalog-"));
  file = path.join(directory, "catalog.db");
  warnings.length = 0;
  catalog = open();
});

afterEach(async () => {
  catalog.close();
  await removeTree(directory);
});

function open(): Catalog {
  return openSqliteCatalog({ file, warn: (message) => warnings.push(message) });
}

function reopen(): Catalog {
  catalog.close();
  catalog = open();
  return catalog;
}

function run(id: BackupId, overrides: Partial<NewRun> = {}): NewRun {
  return {
    id,
    type: "database",
    mode: "full",
    category: "daily",
    timestamp: "2026-01-11T02:00:00.000Z",
    host: "web-1",
    createdBy: "root",
    storagePath: "database/daily/2026-01-11/full-02-00-00-00000001",
    parentId: undefined,
    pid: 4711,
    tags: ["nightly"],
    description: "before the move",
    ...overrides,
  };
}

const AT = "2026-01-11T02:01:00.000Z";

describe("a run", () => {
  it("is running from its beginning, with what is known of it", () => {
    catalog.begin(run(backupId(1)));

    expect(catalog.get(backupId(1))).toMatchObject({
      status: "running",
      pid: 4711,
      tags: ["nightly"],
      description: "before the move",
      trusted: false,
      metadata: undefined,
      completedAt: undefined,
    });
  });

  it("becomes what its metadata says when it is committed", () => {
    const metadata = metadataOf({ id: backupId(1) });
    catalog.begin(run(backupId(1)));
    catalog.complete(metadata, [{ backupId: backupId(1), storage: "main", state: "complete", at: AT }]);

    expect(reopen().get(backupId(1))).toMatchObject({
      status: "completed",
      trusted: true,
      pid: undefined,
      completedAt: metadata.completed_at,
      metadata,
      copies: [{ backupId: backupId(1), storage: "main", state: "complete", at: AT }],
    });
  });

  it("keeps the error that ended it", () => {
    catalog.begin(run(backupId(1)));
    catalog.fail(backupId(1), { code: "SOURCE_FAILED", message: "dump of app failed" }, AT);

    expect(catalog.get(backupId(1))).toMatchObject({
      status: "failed",
      completedAt: AT,
      pid: undefined,
      error: { code: "SOURCE_FAILED", message: "dump of app failed" },
    });
  });

  it("is committed even if the catalog was lost in the meantime", () => {
    catalog.complete(metadataOf({ id: backupId(1) }), []);

    expect(catalog.get(backupId(1))?.status).toBe("completed");
  });

  it("can't begin twice under one id", () => {
    catalog.begin(run(backupId(1)));

    expect(() => catalog.begin(run(backupId(1)))).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
  });
});

describe("what changes later", () => {
  beforeEach(() =>
    catalog.complete(metadataOf({ id: backupId(1), overrides: { tags: ["a"], description: "old" } }), []),
  );

  it("shows tags and description of the notes instead of those of the metadata", () => {
    catalog.setNotes(backupId(1), { tags: ["b"], description: "new" });
    expect(catalog.get(backupId(1))).toMatchObject({ tags: ["b"], description: "new" });
    expect(catalog.list({ tag: "a" }).total).toBe(0);
    expect(catalog.list({ tag: "b" }).total).toBe(1);

    catalog.setNotes(backupId(1), {});
    expect(catalog.get(backupId(1))).toMatchObject({ tags: ["a"], description: "old" });
  });

  it("keeps one state for each storage", () => {
    catalog.setCopy({ backupId: backupId(1), storage: "s3", state: "pending", at: AT });
    catalog.setCopy({ backupId: backupId(1), storage: "s3", state: "complete", at: AT });
    catalog.setCopy({ backupId: backupId(1), storage: "main", state: "damaged", at: AT });

    expect(catalog.get(backupId(1))?.copies.map((copy) => [copy.storage, copy.state])).toEqual([
      ["main", "damaged"],
      ["s3", "complete"],
    ]);
  });

  it.each([
    ["a status", () => catalog.setStatus(backupId(9), "deleting")],
    ["notes", () => catalog.setNotes(backupId(9), {})],
    ["a copy", () => catalog.setCopy({ backupId: backupId(9), storage: "main", state: "complete", at: AT })],
    ["a failure", () => catalog.fail(backupId(9), { code: "X", message: "x" }, AT)],
  ])("refuses %s of a backup that it does not know", (_what, change) => {
    expect(change).toThrow(expect.objectContaining({ code: "BACKUP_NOT_FOUND" }));
  });

  it("forgets a removed backup entirely, except for the log", () => {
    catalog.addEvent({
      at: AT,
      action: "delete",
      user: "root",
      backupId: backupId(1),
      status: "completed",
      detail: { why: "old" },
    });
    catalog.setCopy({ backupId: backupId(1), storage: "main", state: "complete", at: AT });
    catalog.setIndexCache({ backupId: backupId(1), source: "app", rootSha256: "aa", indexSha256: "bb" });
    catalog.remove(backupId(1));

    expect(catalog.get(backupId(1))).toBeUndefined();
    expect(catalog.list({ source: "app" }).total).toBe(0);
    expect(catalog.indexCache(backupId(1), "app")).toBeUndefined();
    expect(catalog.events({ backupId: backupId(1) })).toEqual([
      { at: AT, action: "delete", user: "root", backupId: backupId(1), status: "completed", detail: { why: "old" } },
    ]);
  });
});

describe("a backup found in storage", () => {
  it("brings its notes, copies and trust, in place of what was known", () => {
    catalog.complete(metadataOf({ id: backupId(1) }), [
      { backupId: backupId(1), storage: "gone", state: "complete", at: AT },
    ]);
    const verified = { at: AT, depth: "deep", passed: true, host: "web-1" } as const;
    catalog.restoreFromStorage({
      metadata: metadataOf({ id: backupId(1) }),
      trusted: false,
      notes: { hold: { reason: "audit", at: AT, by: "root" }, verified },
      copies: [{ backupId: backupId(1), storage: "main", state: "complete", at: AT }],
    });

    expect(reopen().get(backupId(1))).toMatchObject({
      trusted: false,
      notes: { hold: { reason: "audit", at: AT, by: "root" }, verified },
      copies: [{ storage: "main" }],
    });
  });
});

describe("finding", () => {
  const full = metadataOf({
    id: backupId(0xaaaa0001),
    at: "2026-01-10T02:00:00.000Z",
    type: "full",
    overrides: { tags: ["x"] },
  });
  const files = sourceOf("uploads", { engine: "files", component: "files" });
  const later = metadataOf({
    id: backupId(0xaaaa0002),
    at: "2026-01-11T02:00:00.000Z",
    type: "full",
    mode: "incremental",
    category: "incremental",
    parent: full,
    sources: [files],
    overrides: { host: "web-2" },
  });

  beforeEach(() => {
    catalog.complete(full, []);
    catalog.complete(later, []);
    catalog.begin(run(backupId(0xbbbb0001), { timestamp: "2026-01-12T02:00:00.000Z" }));
  });

  it.each([
    [{}, [0xbbbb0001, 0xaaaa0002, 0xaaaa0001]],
    [{ order: "oldest" as const }, [0xaaaa0001, 0xaaaa0002, 0xbbbb0001]],
    [{ type: "full" }, [0xaaaa0002, 0xaaaa0001]],
    [{ mode: "incremental" }, [0xaaaa0002]],
    [{ category: "daily" }, [0xbbbb0001, 0xaaaa0001]],
    [{ status: ["running", "failed"] }, [0xbbbb0001]],
    [{ status: [] }, []],
    [{ tag: "x" }, [0xaaaa0001]],
    [{ tag: "nightly" }, [0xbbbb0001]],
    [{ source: "uploads" }, [0xaaaa0002]],
    [{ component: "database" }, [0xaaaa0001]],
    [{ from: "2026-01-11T02:00:00Z" }, [0xbbbb0001, 0xaaaa0002]],
    [{ to: "2026-01-11T02:00:00Z" }, [0xaaaa0001]],
    [{ type: "full", tag: "x", mode: "full" }, [0xaaaa0001]],
  ])("lists with %j", (filter, expected) => {
    const { backups, total } = catalog.list(filter);

    expect(backups.map((backup) => backup.id)).toEqual(expected.map(backupId));
    expect(total).toBe(expected.length);
  });

  it("pages, and tells how many there are in all", () => {
    const page = catalog.list({ limit: 1, offset: 1 });

    expect(page.backups.map((backup) => backup.id)).toEqual([backupId(0xaaaa0002)]);
    expect(page.total).toBe(3);
  });

  it("finds by the beginning of an id", () => {
    expect(catalog.findByPrefix("aaaa").map((backup) => backup.id)).toEqual([
      backupId(0xaaaa0002),
      backupId(0xaaaa0001),
    ]);
    expect(catalog.findByPrefix("aaaa0002-0000")).toHaveLength(1);
    expect(catalog.findByPrefix("cccc")).toEqual([]);
  });

  it("knows children and the last commit of a host", () => {
    expect(catalog.childrenOf(full.id).map((backup) => backup.id)).toEqual([later.id]);
    expect(catalog.lastCommitOfHost("web-1")).toBe(full.id);
    expect(catalog.lastCommitOfHost("web-2")).toBe(later.id);
    expect(catalog.lastCommitOfHost("web-3")).toBeUndefined();
  });
});

describe("history", () => {
  it("counts completed restores only, a restore once", () => {
    catalog.complete(metadataOf({ id: backupId(1) }), []);
    const restore = {
      id: "r1",
      backupId: backupId(1),
      at: AT,
      target: "staging",
      status: "running",
      bytes: 500,
      seconds: 2,
      places: [{ source: "app", place: "/app.db", stage: "coming", marked: false }],
    } as const;
    catalog.addRestore(restore);
    expect(catalog.restoresOf(backupId(1))).toEqual({ count: 0, last: undefined });

    catalog.setPlaces("r1", []);
    expect(catalog.unfinishedRestores()).toEqual([]);

    catalog.addRestore({ ...restore, status: "completed" });
    expect(catalog.restoresOf(backupId(1))).toEqual({ count: 1, last: AT });
    expect(catalog.recentDurations({ operation: "restore" })).toEqual([{ bytes: 500, seconds: 2 }]);
    expect(catalog.recentDurations({ operation: "restore", type: "files" })).toEqual([]);
  });

  it("gives the durations of committed backups, newest first", () => {
    catalog.complete(metadataOf({ id: backupId(1), overrides: { size: 10, duration_seconds: 1 } }), []);
    catalog.complete(
      metadataOf({ id: backupId(2), at: "2026-01-12T02:00:00.000Z", overrides: { size: 20, duration_seconds: 2 } }),
      [],
    );
    catalog.begin(run(backupId(3)));

    expect(catalog.recentDurations({ operation: "create", type: "database", mode: "full" })).toEqual([
      { bytes: 20, seconds: 2 },
      { bytes: 10, seconds: 1 },
    ]);
    expect(catalog.recentDurations({ operation: "create", mode: "incremental" })).toEqual([]);
  });

  it("keeps events in order, newest first", () => {
    for (const action of ["create", "verify", "delete"]) {
      catalog.addEvent({ at: AT, action, user: "root", status: "completed", detail: {} });
    }

    expect(catalog.events({ limit: 2 }).map((event) => event.action)).toEqual(["delete", "verify"]);
  });

  it("keeps verifications", () => {
    catalog.complete(metadataOf({ id: backupId(1) }), []);

    catalog.addVerification({
      backupId: backupId(1),
      at: AT,
      depth: "full",
      passed: true,
      storage: "main",
      seconds: 3,
      issues: [],
    });
    reopen();
  });

  it("keeps the hashes of a cached index until they are replaced", () => {
    catalog.setIndexCache({ backupId: backupId(1), source: "app", rootSha256: "aa", indexSha256: "bb" });
    catalog.setIndexCache({ backupId: backupId(1), source: "app", rootSha256: "cc", indexSha256: "dd" });

    expect(reopen().indexCache(backupId(1), "app")).toEqual({
      backupId: backupId(1),
      source: "app",
      rootSha256: "cc",
      indexSha256: "dd",
    });
    expect(catalog.indexCache(backupId(1), "other")).toBeUndefined();
  });
});

describe("the repository", () => {
  it("is bound once, and another one is refused", () => {
    expect(catalog.repositoryId()).toBeUndefined();
    catalog.bindRepository(REPOSITORY_ID);
    catalog.bindRepository(REPOSITORY_ID);

    expect(reopen().repositoryId()).toBe(REPOSITORY_ID);
    expect(() => catalog.bindRepository("another")).toThrow(expect.objectContaining({ code: "REPOSITORY_MISMATCH" }));
  });
});

it("is readable by its owner only, with all of its files", () => {
  catalog.begin(run(backupId(1)));

  for (const name of [file, `${file}-wal`, `${file}-shm`]) expect(statSync(name).mode & 0o777).toBe(0o600);
});

describe("a long list", () => {
  beforeEach(() => {
    for (let number = 1; number <= 60; number += 1) {
      const at = new Date(Date.UTC(2026, 0, 1) + number * 3_600_000).toISOString();
      catalog.restoreFromStorage({
        metadata: metadataOf({ id: backupId(number), at }),
        trusted: true,
        notes: {},
        copies: [],
      });
    }
    catalog.close();
  });

  afterEach(() => {
    catalog = open();
  });

  it("reads no metadata of the backups that are not shown, nor of those shown until asked", () => {
    const database = new Sqlite(file);
    database.exec("UPDATE metadata SET content = '{'");
    database.close();
    catalog = open();

    const { backups, total } = catalog.list({ limit: 20 });

    expect([backups.length, total]).toEqual([20, 60]);
    expect(() => backups[0]?.metadata).toThrow(expect.objectContaining({ code: "CATALOG_FAILED" }));
    catalog.close();
  });

  it("takes its order from an index instead of sorting all backups", () => {
    const database = new Sqlite(file);
    const plan = database
      .prepare("EXPLAIN QUERY PLAN SELECT * FROM backups WHERE type = 'full' ORDER BY started_ms DESC, id ASC LIMIT 20")
      .all();
    database.close();

    expect(JSON.stringify(plan)).toContain("backups_by_time");
    expect(JSON.stringify(plan)).not.toContain("TEMP B-TREE");
  });
});
