import { describe, expect, it } from "vitest";
import type { Category } from "../../../src/domain/backup.ts";
import type { KnownBackup } from "../../../src/domain/known-backup.ts";
import { clockBrake, maxDeleteBrake } from "../../../src/domain/retention/brake.ts";
import { decideRetention, type RetentionQuestion } from "../../../src/domain/retention/decide.ts";
import type { StoragePolicy } from "../../../src/domain/retention/policy.ts";
import { type BackupSketch, backupId, knownBackup, metadataOf, sourceOf, uncommitted } from "../builders.ts";
import { NO_RULES, questionOf, STORAGE } from "./history.ts";

const DAY_MS = 86_400_000;
const PERIODS: Partial<Record<Category, number>> = {
  incremental: 7,
  daily: 30,
  weekly: 84,
  monthly: 365,
  snapshots: 90,
};

/** A backup with the date that the default periods give it, in the storage that is asked about. */
function made(
  sketch: Partial<BackupSketch> & { readonly n: number; readonly at: string },
  changes: Partial<KnownBackup> = {},
) {
  const { n, at, category = "daily" } = sketch;
  const days = PERIODS[category];
  const retention_until = days === undefined ? null : new Date(Date.parse(at) + days * DAY_MS).toISOString();
  const metadata = metadataOf({
    ...sketch,
    id: backupId(n),
    category,
    overrides: { retention_until, ...sketch.overrides },
  });
  return knownBackup(metadata, { copies: [{ storage: STORAGE, state: "complete" }], ...changes });
}

/** A full backup at two every night of so many days before 1 June: monthly, weekly or daily as `create` would class it. */
function nightly(nights: number): readonly KnownBackup[] {
  return Array.from({ length: nights }, (_, night) => {
    const at = new Date(Date.parse("2026-06-01T02:00:00.000Z") - (nights - 1 - night) * DAY_MS);
    const ofWeek = at.getUTCDay() === 1 ? "weekly" : "daily";
    const category = at.getUTCDate() === 1 ? "monthly" : ofWeek;
    return made({ n: night + 1, at: at.toISOString(), category });
  });
}

/** As text: a line for each backup, the oldest last; neighbours with the same fate for the same kind of reason are one line. */
function told(asked: RetentionQuestion<KnownBackup>): string {
  const lines = decideRetention(asked).map(({ backup, keep, reasons }) => {
    const why = reasons.map(({ text }) => text).join("; ");
    return `${backup.timestamp.slice(0, 10)} ${keep ? "keep  " : "remove"} ${why}`;
  });
  return `\n${lines.join("\n")}\n`;
}

function rules(keep: Partial<StoragePolicy["keep"]>, more: Partial<StoragePolicy> = {}): StoragePolicy {
  return { ...NO_RULES, keep: { ...NO_RULES.keep, ...keep }, ...more };
}

const JUNE = { now: new Date("2026-06-01T12:00:00.000Z") };

describe("what is locked", () => {
  const full = made({ n: 1, at: "2026-01-01T02:00:00.000Z", mode: "full" });
  const parent = full.metadata ?? metadataOf({ id: full.id });
  const child = made({ n: 2, at: "2026-01-02T02:00:00.000Z", mode: "incremental", parent });
  const last = made({ n: 3, at: "2026-05-31T02:00:00.000Z" });
  const until = new Date("2026-06-09T02:00:00.000Z");

  it("stays, with what it builds on, and says until when", () => {
    const asked = questionOf([full, child, last], { ...JUNE, locks: new Map([[child.id, until]]) });

    expect(told(asked)).toBe(`
2026-05-31 keep   daily until 2026-06-30; the last good one of app
2026-01-02 keep   locked until 2026-06-09 02:00:00 UTC; daily, expired 2026-02-01
2026-01-01 keep   needed by ${child.id.slice(0, 8)}; daily, expired 2026-01-31
`);
  });

  it("says no more than why it stays, where it would stay anyway", () => {
    const locks = new Map([[last.id, until]]);

    expect(told(questionOf([last], { ...JUNE, locks }))).toBe(told(questionOf([last], JUNE)));
  });

  it("stays though its deletion was begun", () => {
    const begun = { ...full, status: "deleting" as const };

    const [, verdict] = decideRetention(questionOf([begun, last], { ...JUNE, locks: new Map([[full.id, until]]) }));

    expect(verdict).toMatchObject({ keep: true, reasons: [{ kind: "locked" }, { kind: "begun" }] });
  });
});

describe("decisions, as a person reads them", () => {
  it("by age", () => {
    expect(told(questionOf(nightly(45), JUNE))).toMatchInlineSnapshot(`
      "
      2026-06-01 keep   monthly until 2027-06-01; the last good one of app
      2026-05-31 keep   daily until 2026-06-30
      2026-05-30 keep   daily until 2026-06-29
      2026-05-29 keep   daily until 2026-06-28
      2026-05-28 keep   daily until 2026-06-27
      2026-05-27 keep   daily until 2026-06-26
      2026-05-26 keep   daily until 2026-06-25
      2026-05-25 keep   weekly until 2026-08-17
      2026-05-24 keep   daily until 2026-06-23
      2026-05-23 keep   daily until 2026-06-22
      2026-05-22 keep   daily until 2026-06-21
      2026-05-21 keep   daily until 2026-06-20
      2026-05-20 keep   daily until 2026-06-19
      2026-05-19 keep   daily until 2026-06-18
      2026-05-18 keep   weekly until 2026-08-10
      2026-05-17 keep   daily until 2026-06-16
      2026-05-16 keep   daily until 2026-06-15
      2026-05-15 keep   daily until 2026-06-14
      2026-05-14 keep   daily until 2026-06-13
      2026-05-13 keep   daily until 2026-06-12
      2026-05-12 keep   daily until 2026-06-11
      2026-05-11 keep   weekly until 2026-08-03
      2026-05-10 keep   daily until 2026-06-09
      2026-05-09 keep   daily until 2026-06-08
      2026-05-08 keep   daily until 2026-06-07
      2026-05-07 keep   daily until 2026-06-06
      2026-05-06 keep   daily until 2026-06-05
      2026-05-05 keep   daily until 2026-06-04
      2026-05-04 keep   weekly until 2026-07-27
      2026-05-03 keep   daily until 2026-06-02
      2026-05-02 remove daily, expired 2026-06-01
      2026-05-01 keep   monthly until 2027-05-01
      2026-04-30 remove daily, expired 2026-05-30
      2026-04-29 remove daily, expired 2026-05-29
      2026-04-28 remove daily, expired 2026-05-28
      2026-04-27 keep   weekly until 2026-07-20
      2026-04-26 remove daily, expired 2026-05-26
      2026-04-25 remove daily, expired 2026-05-25
      2026-04-24 remove daily, expired 2026-05-24
      2026-04-23 remove daily, expired 2026-05-23
      2026-04-22 remove daily, expired 2026-05-22
      2026-04-21 remove daily, expired 2026-05-21
      2026-04-20 keep   weekly until 2026-07-13
      2026-04-19 remove daily, expired 2026-05-19
      2026-04-18 remove daily, expired 2026-05-18
      "
    `);
  });

  it("by counts, where nothing is kept by age any longer", () => {
    const backups = nightly(45).map((backup) => ({ ...backup, notes: { retention_until: backup.timestamp } }));
    const policy = rules({ last: 2, periods: { daily: 4, weekly: 3, monthly: 3 } });

    expect(told(questionOf(backups, { ...JUNE, policy }))).toMatchInlineSnapshot(`
      "
      2026-06-01 keep   keep_last, keep_daily, keep_weekly, keep_monthly; the last good one of app
      2026-05-31 keep   keep_last, keep_daily, keep_weekly, keep_monthly
      2026-05-30 keep   keep_daily
      2026-05-29 keep   keep_daily
      2026-05-28 remove daily, expired 2026-05-28
      2026-05-27 remove daily, expired 2026-05-27
      2026-05-26 remove daily, expired 2026-05-26
      2026-05-25 remove weekly, expired 2026-05-25
      2026-05-24 keep   keep_weekly
      2026-05-23 remove daily, expired 2026-05-23
      2026-05-22 remove daily, expired 2026-05-22
      2026-05-21 remove daily, expired 2026-05-21
      2026-05-20 remove daily, expired 2026-05-20
      2026-05-19 remove daily, expired 2026-05-19
      2026-05-18 remove weekly, expired 2026-05-18
      2026-05-17 remove daily, expired 2026-05-17
      2026-05-16 remove daily, expired 2026-05-16
      2026-05-15 remove daily, expired 2026-05-15
      2026-05-14 remove daily, expired 2026-05-14
      2026-05-13 remove daily, expired 2026-05-13
      2026-05-12 remove daily, expired 2026-05-12
      2026-05-11 remove weekly, expired 2026-05-11
      2026-05-10 remove daily, expired 2026-05-10
      2026-05-09 remove daily, expired 2026-05-09
      2026-05-08 remove daily, expired 2026-05-08
      2026-05-07 remove daily, expired 2026-05-07
      2026-05-06 remove daily, expired 2026-05-06
      2026-05-05 remove daily, expired 2026-05-05
      2026-05-04 remove weekly, expired 2026-05-04
      2026-05-03 remove daily, expired 2026-05-03
      2026-05-02 remove daily, expired 2026-05-02
      2026-05-01 remove monthly, expired 2026-05-01
      2026-04-30 keep   keep_monthly
      2026-04-29 remove daily, expired 2026-04-29
      2026-04-28 remove daily, expired 2026-04-28
      2026-04-27 remove weekly, expired 2026-04-27
      2026-04-26 remove daily, expired 2026-04-26
      2026-04-25 remove daily, expired 2026-04-25
      2026-04-24 remove daily, expired 2026-04-24
      2026-04-23 remove daily, expired 2026-04-23
      2026-04-22 remove daily, expired 2026-04-22
      2026-04-21 remove daily, expired 2026-04-21
      2026-04-20 remove weekly, expired 2026-04-20
      2026-04-19 remove daily, expired 2026-04-19
      2026-04-18 remove daily, expired 2026-04-18
      "
    `);
  });

  it("of a chain, whose full one stays for the last that builds on it", () => {
    const full = made({ n: 1, at: "2026-01-01T02:00:00.000Z", category: "daily" });
    const parent = full.metadata ?? metadataOf({ id: backupId(1) });
    const children = Array.from({ length: 6 }, (_, day) =>
      made({
        n: day + 2,
        at: `2026-02-0${day + 1}T02:00:00.000Z`,
        mode: "incremental",
        category: "incremental",
        parent,
      }),
    );
    const newest = made({ n: 9, at: "2026-02-12T02:00:00.000Z" });

    expect(told(questionOf([full, ...children, newest]))).toMatchInlineSnapshot(`
      "
      2026-02-12 keep   daily until 2026-03-14; the last good one of app
      2026-02-06 keep   incremental until 2026-02-13
      2026-02-05 remove incremental, expired 2026-02-12
      2026-02-04 remove incremental, expired 2026-02-11
      2026-02-03 remove incremental, expired 2026-02-10
      2026-02-02 remove incremental, expired 2026-02-09
      2026-02-01 remove incremental, expired 2026-02-08
      2026-01-01 keep   needed by 00000007; daily, expired 2026-01-31
      "
    `);
  });

  it("of what is special", () => {
    const at = (day: number) => `2026-01-${String(day).padStart(2, "0")}T02:00:00.000Z`;
    const verified = { at: at(20), depth: "full", host: "web-1" } as const;
    const backups = [
      made({ n: 1, at: at(1) }, { notes: { hold: { reason: "legal case 17", at: at(2), by: "root" } } }),
      made({ n: 2, at: at(2) }, { trusted: false }),
      made({ n: 3, at: at(3) }, { notes: { verified: { ...verified, passed: true } } }),
      made({ n: 4, at: at(4) }, { notes: { verified: { ...verified, passed: false } } }),
      made({ n: 5, at: at(5), category: "manual" }),
      made({ n: 6, at: at(6), overrides: { tags: ["release"] } }),
      made({ n: 7, at: at(7), sources: [sourceOf("app"), sourceOf("www")] }),
      made({ n: 8, at: at(8), sources: [sourceOf("app"), sourceOf("www", { status: "failed" })] }),
      made({ n: 9, at: at(9), sources: [sourceOf("blog")] }),
      made({ n: 10, at: at(10) }, { status: "deleting" }),
      made({ n: 11, at: at(11) }, { copies: [{ storage: STORAGE, state: "damaged" }] }),
      made({ n: 12, at: at(12) }, { copies: [{ storage: "other", state: "complete" }] }),
      { ...uncommitted(backupId(13)), status: "unreadable" as const, copies: [{ storage: STORAGE, state: "damaged" }] },
      uncommitted(backupId(14)),
      made({ n: 15, at: "2026-03-01T02:00:00.000Z" }),
    ];

    expect(told(questionOf(backups, { policy: rules({ tags: ["release"] }) }))).toMatchInlineSnapshot(`
      "
      2026-03-01 keep   daily until 2026-03-31; the last good one of app
      2026-01-11 remove daily, expired 2026-02-10
      2026-01-11 keep   can't be read: only delete removes it
      2026-01-10 remove its deletion was begun
      2026-01-09 keep   daily, expired 2026-02-08, but nothing newer of blog since then; the last good one of blog
      2026-01-08 remove daily, expired 2026-02-07
      2026-01-07 keep   daily, expired 2026-02-06, but nothing newer of www since then; the last good one of www
      2026-01-06 keep   tagged release
      2026-01-05 keep   manual, for ever
      2026-01-04 remove daily, expired 2026-02-03
      2026-01-03 keep   the last verified one of app
      2026-01-02 keep   not proven by any key: only delete removes it
      2026-01-01 keep   on hold: legal case 17
      "
    `);
  });

  it.each<[string, Partial<KnownBackup>]>([
    ["its copy is damaged", { copies: [{ storage: STORAGE, state: "damaged" }] }],
    [
      "its verification failed",
      { notes: { verified: { at: "2026-01-21T02:00:00.000Z", depth: "full", passed: false, host: "web-1" } } },
    ],
  ])("where what builds on a damaged one is no last good one: %s", (_what, damage) => {
    const sound = made({ n: 1, at: "2026-01-01T02:00:00.000Z" });
    const full = made({ n: 2, at: "2026-01-20T02:00:00.000Z" }, damage);
    if (full.metadata === undefined) throw new Error("a full backup without metadata");
    const child = made({ n: 3, at: "2026-01-21T01:00:00.000Z", mode: "incremental", parent: full.metadata });

    const verdicts = decideRetention(questionOf([sound, full, child], { now: new Date("2026-06-01T00:00:00Z") }));

    const { keep, reasons } = verdicts.find(({ backup }) => backup.id === sound.id) ?? {};
    expect([keep, reasons?.map(({ kind }) => kind)]).toEqual([true, ["waiting", "last-good"]]);
  });

  it("after a gap, in which nothing goes", () => {
    const backups = nightly(4);

    expect(told(questionOf(backups, { now: new Date("2027-06-01T00:00:00Z") }))).toMatchInlineSnapshot(`
      "
      2026-06-01 keep   monthly until 2027-06-01; the last good one of app
      2026-05-31 keep   daily, expired 2026-06-30, but nothing newer of app since then
      2026-05-30 keep   daily, expired 2026-06-29, but nothing newer of app since then
      2026-05-29 keep   daily, expired 2026-06-28, but nothing newer of app since then
      "
    `);
  });

  it("where a storage keeps longer, or fewer", () => {
    const policy = rules(
      {},
      { longer: { daily: { amount: 40, unit: "d" }, weekly: { amount: 1, unit: "d" } }, maxBackups: 38 },
    );

    expect(told(questionOf(nightly(45), { ...JUNE, policy }))).toMatchInlineSnapshot(`
      "
      2026-06-01 keep   monthly until 2027-06-01; the last good one of app
      2026-05-31 keep   daily until 2026-07-10
      2026-05-30 keep   daily until 2026-07-09
      2026-05-29 keep   daily until 2026-07-08
      2026-05-28 keep   daily until 2026-07-07
      2026-05-27 keep   daily until 2026-07-06
      2026-05-26 keep   daily until 2026-07-05
      2026-05-25 keep   weekly until 2026-08-17
      2026-05-24 keep   daily until 2026-07-03
      2026-05-23 keep   daily until 2026-07-02
      2026-05-22 keep   daily until 2026-07-01
      2026-05-21 keep   daily until 2026-06-30
      2026-05-20 keep   daily until 2026-06-29
      2026-05-19 keep   daily until 2026-06-28
      2026-05-18 keep   weekly until 2026-08-10
      2026-05-17 keep   daily until 2026-06-26
      2026-05-16 keep   daily until 2026-06-25
      2026-05-15 keep   daily until 2026-06-24
      2026-05-14 keep   daily until 2026-06-23
      2026-05-13 keep   daily until 2026-06-22
      2026-05-12 keep   daily until 2026-06-21
      2026-05-11 keep   weekly until 2026-08-03
      2026-05-10 keep   daily until 2026-06-19
      2026-05-09 keep   daily until 2026-06-18
      2026-05-08 keep   daily until 2026-06-17
      2026-05-07 keep   daily until 2026-06-16
      2026-05-06 keep   daily until 2026-06-15
      2026-05-05 keep   daily until 2026-06-14
      2026-05-04 keep   weekly until 2026-07-27
      2026-05-03 keep   daily until 2026-06-12
      2026-05-02 keep   daily until 2026-06-11
      2026-05-01 keep   monthly until 2027-05-01
      2026-04-30 keep   daily until 2026-06-09
      2026-04-29 keep   daily until 2026-06-08
      2026-04-28 keep   daily until 2026-06-07
      2026-04-27 keep   weekly until 2026-07-20
      2026-04-26 keep   daily until 2026-06-05
      2026-04-25 keep   daily until 2026-06-04
      2026-04-24 remove older than the newest 38 (max_backups)
      2026-04-23 remove older than the newest 38 (max_backups)
      2026-04-22 remove older than the newest 38 (max_backups)
      2026-04-21 remove older than the newest 38 (max_backups)
      2026-04-20 remove older than the newest 38 (max_backups)
      2026-04-19 remove older than the newest 38 (max_backups)
      2026-04-18 remove older than the newest 38 (max_backups)
      "
    `);
  });
});

describe("what needs an ancestor", () => {
  it("a run that builds on it just now keeps the lineage", () => {
    const full = made({ n: 1, at: "2026-01-01T02:00:00.000Z" });
    const parent = full.metadata ?? metadataOf({ id: backupId(1) });
    const child = made({ n: 2, at: "2026-01-02T02:00:00.000Z", mode: "incremental", parent });
    const run = uncommitted(backupId(3), { status: "running", parentId: child.id });
    const asked = questionOf([full, child, run, made({ n: 4, at: "2026-06-01T02:00:00.000Z" })]);

    expect(decideRetention(asked).map(({ keep }) => keep)).toEqual([true, true, true]);
  });

  it("a run that builds on nothing keeps nothing", () => {
    const old = made({ n: 1, at: "2026-01-01T02:00:00.000Z" });
    const run = uncommitted(backupId(2), { status: "running" });
    const asked = questionOf([old, run, made({ n: 3, at: "2026-06-01T02:00:00.000Z" })]);

    expect(decideRetention(asked).map(({ keep }) => keep)).toEqual([true, false]);
  });
});

describe("the brake on the clock", () => {
  const backups = nightly(3);

  it.each([
    ["2026-06-01T01:56:00Z", undefined],
    ["2026-06-01T01:54:00Z", "clock"],
    ["2030-01-01T00:00:00Z", undefined],
  ])("at %s: %s", (now, kind) => {
    expect(clockBrake(backups, new Date(now))?.kind).toBe(kind);
  });
});

describe("the brake on many", () => {
  it("holds where more than the share would go, of more than one chain", () => {
    const verdicts = decideRetention(questionOf(nightly(45), JUNE));

    expect(maxDeleteBrake(STORAGE, verdicts, 20)?.text).toBe(
      '12 of 45 backups in storage "main" would go, 27 %, and max_delete is 20 %',
    );
    expect(maxDeleteBrake(STORAGE, verdicts, 27)).toBeUndefined();
    expect(maxDeleteBrake(STORAGE, verdicts, 0)).toBeDefined();
  });

  it("lets one chain go as a whole", () => {
    const full = made({ n: 1, at: "2026-01-01T02:00:00.000Z" });
    const parent = full.metadata ?? metadataOf({ id: backupId(1) });
    const child = made({ n: 2, at: "2026-01-02T02:00:00.000Z", mode: "incremental", parent });
    const verdicts = decideRetention(questionOf([full, child, made({ n: 3, at: "2026-06-01T02:00:00.000Z" })]));

    expect(verdicts.map(({ keep }) => keep)).toEqual([true, false, false]);
    expect(maxDeleteBrake(STORAGE, verdicts, 0)).toBeUndefined();
  });
});
