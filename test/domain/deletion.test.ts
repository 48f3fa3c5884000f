import { describe, expect, it } from "vitest";
import { planDeletion, refusalOf } from "../../src/domain/deletion.ts";
import type { KnownBackup } from "../../src/domain/known-backup.ts";
import { backupId, knownBackup, metadataOf, sourceOf, uncommitted } from "./builders.ts";

const OVER = { retention_until: "2026-01-20T00:00:00.000Z" };
const NOW = new Date("2026-02-01T00:00:00.000Z");

const full = metadataOf({ id: backupId(1), at: "2026-01-11T02:00:00.000Z", overrides: OVER });
const child = metadataOf({
  id: backupId(2),
  at: "2026-01-12T02:00:00.000Z",
  mode: "incremental",
  parent: full,
  overrides: OVER,
});
const grandchild = metadataOf({
  id: backupId(3),
  at: "2026-01-13T02:00:00.000Z",
  mode: "incremental",
  parent: child,
  overrides: OVER,
});
const other = metadataOf({ id: backupId(4), at: "2026-01-14T02:00:00.000Z", overrides: OVER });
const all = [full, child, grandchild, other].map((metadata) => knownBackup(metadata));

function plan(target: KnownBackup, options: { backups?: readonly KnownBackup[]; withDescendants?: boolean } = {}) {
  const { backups = all, withDescendants = false } = options;
  return planDeletion({ target, backups, withDescendants, now: NOW });
}

function known(id: number): KnownBackup {
  const found = all.find((backup) => backup.id === backupId(id));
  if (found === undefined) throw new Error(`no backup ${id}`);
  return found;
}

describe("a backup that nothing needs", () => {
  it("goes alone", () => {
    const decided = plan(known(3));

    expect(decided.deletions.map((backup) => backup.id)).toEqual([grandchild.id]);
    expect(refusalOf(decided, { force: false })).toBeUndefined();
  });

  it("goes if it never came to a commit, whatever it was meant to descend from", () => {
    const failed = uncommitted(backupId(9), { parentId: grandchild.id });

    expect(refusalOf(plan(failed, { backups: [...all, failed] }), { force: false })).toBeUndefined();
    expect(refusalOf(plan(known(3), { backups: [...all, failed] }), { force: false })).toBeUndefined();
  });

  it("goes if it was made by hand and nobody said how long to keep it", () => {
    const manual = knownBackup(metadataOf({ id: backupId(5), at: "2026-01-15T02:00:00.000Z", category: "manual" }));

    expect(refusalOf(plan(manual, { backups: [...all, manual] }), { force: false })).toBeUndefined();
  });
});

describe("an ancestor that others need", () => {
  it.each([false, true])("stays (force: %s)", (force) => {
    expect(refusalOf(plan(known(1)), { force })).toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      exitCode: 14,
      message: expect.stringContaining(`${full.id} is needed by 00000003, 00000002`),
      hint: expect.stringContaining("--with-descendants"),
    });
  });

  it("names five of many", () => {
    const children = Array.from({ length: 7 }, (_, i) =>
      knownBackup(metadataOf({ id: backupId(0x10 + i), mode: "incremental", parent: full, overrides: OVER })),
    );

    expect(refusalOf(plan(known(1), { backups: [known(1), ...children] }), { force: false })?.message).toContain(
      "00000013, 00000014 and 2 more",
    );
  });

  it("stays while a run builds on it", () => {
    const running = uncommitted(backupId(9), { status: "running", parentId: grandchild.id });

    expect(refusalOf(plan(known(3), { backups: [...all, running] }), { force: true })?.message).toContain(
      "is needed by",
    );
  });

  it("goes with its descendants, newest first", () => {
    const decided = plan(known(1), { withDescendants: true });

    expect(decided.deletions.map((backup) => backup.id)).toEqual([grandchild.id, child.id, full.id]);
    expect(refusalOf(decided, { force: false })).toBeUndefined();
  });

  it("goes after its descendants even if a clock was wrong", () => {
    const early = knownBackup(
      metadataOf({
        id: backupId(6),
        at: "2026-01-01T02:00:00.000Z",
        mode: "incremental",
        parent: full,
        overrides: OVER,
      }),
    );
    const decided = plan(known(1), { backups: [...all, early], withDescendants: true });

    expect(decided.deletions.map((backup) => backup.id)).toEqual([grandchild.id, child.id, early.id, full.id]);
  });
});

describe("a protected backup", () => {
  const until = "2026-03-01T00:00:00.000Z";

  it.each<[string, KnownBackup, string]>([
    ["kept by retention", knownBackup({ ...other, retention_until: until }), `is kept until ${until} by retention`],
    [
      "kept longer by its notes",
      knownBackup(other, { notes: { retention_until: until } }),
      `is kept until ${until} by retention`,
    ],
    ["kept for ever by its class", knownBackup({ ...other, retention_until: null }), "is kept for ever by retention"],
    [
      "on hold",
      knownBackup(other, { notes: { hold: { reason: "audit", at: "2026-01-20T00:00:00Z", by: "root" } } }),
      "is on hold since 2026-01-20T00:00:00Z: audit",
    ],
    [
      "the last good one of a source",
      knownBackup({ ...other, sources: [sourceOf("app"), sourceOf("shop")] }),
      "is the last good backup of shop",
    ],
  ])("%s goes only by force", (_what, target, text) => {
    const decided = plan(target, { backups: [...all.slice(0, 3), target] });

    expect(refusalOf(decided, { force: false })).toMatchObject({
      code: "RETENTION_POLICY_VIOLATION",
      message: `backup ${target.id} ${text}`,
      hint: expect.stringContaining("--force --reason"),
    });
    expect(refusalOf(decided, { force: true })).toBeUndefined();
  });

  it("is no longer protected when its notes shorten the retention", () => {
    const target = knownBackup({ ...other, retention_until: until }, { notes: { retention_until: NOW.toISOString() } });

    expect(refusalOf(plan(target, { backups: [...all.slice(0, 3), target] }), { force: false })).toBeUndefined();
  });

  it("among the descendants protects the whole of them", () => {
    const held = knownBackup(child, { notes: { hold: { reason: "audit", at: "2026-01-20T00:00:00Z", by: "root" } } });
    const backups = all.map((backup) => (backup.id === held.id ? held : backup));

    expect(refusalOf(plan(known(1), { backups, withDescendants: true }), { force: false })?.message).toContain(
      `${child.id} is on hold`,
    );
  });

  it("is not relieved by backups that are not good", () => {
    const target = knownBackup(other);
    const doubtful = all.slice(0, 3).map((backup) => ({ ...backup, trusted: false }));

    expect(refusalOf(plan(target, { backups: [...doubtful, target] }), { force: false })?.message).toContain(
      "is the last good backup of app",
    );
  });

  it("tells how many more reasons there are", () => {
    const target = knownBackup(
      { ...other, retention_until: until },
      { notes: { hold: { reason: "x", at: until, by: "y" } } },
    );
    const refusal = refusalOf(plan(target), { force: false });

    expect(refusal?.message).toContain("(and 1 more)");
    expect(refusal?.data).toMatchObject({ protections: [{ kind: "hold" }, { kind: "retention" }] });
  });
});

it("never deletes a backup that is being made", () => {
  const running = uncommitted(backupId(9), { status: "running" });

  expect(refusalOf(plan(running, { backups: [...all, running] }), { force: true })).toMatchObject({
    code: "BACKUP_IN_PROGRESS",
    exitCode: 11,
  });
});
