import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BackupId } from "../../../src/domain/backup.ts";
import {
  ancestorIdsOf,
  isGood,
  type KnownBackup,
  newestFirst,
  wholeSourcesOf,
} from "../../../src/domain/known-backup.ts";
import { decideRetention, type RetentionQuestion } from "../../../src/domain/retention/decide.ts";
import type { StoragePolicy } from "../../../src/domain/retention/policy.ts";
import { history, policy, questionOf, STORAGE, timezone } from "./history.ts";

/** What must hold of every history under every policy. */

const DAY_MS = 86_400_000;
const RUNS = 500;

const question = fc
  .tuple(history, policy, timezone, fc.integer({ min: 0, max: 2000 }))
  .map(([backups, rules, zone, days]) => {
    const { now, ...rest } = questionOf(backups, { policy: rules, timezone: zone });
    return { ...rest, now: new Date(now.getTime() + days * DAY_MS) };
  });

function always<T>(other: fc.Arbitrary<T>, holds: (asked: RetentionQuestion<KnownBackup>, other: T) => void): void {
  const property = fc.property(question, other, (asked, drawn) => holds(asked, drawn));
  fc.assert(property, { numRuns: RUNS });
}

function keptOf(asked: RetentionQuestion<KnownBackup>): readonly KnownBackup[] {
  return decideRetention(asked)
    .filter(({ keep }) => keep)
    .map(({ backup }) => backup);
}

function idsOf(backups: readonly KnownBackup[]): ReadonlySet<BackupId> {
  return new Set(backups.map(({ id }) => id));
}

/** What is left after the cleanup, those included that it does not look at. */
function afterwards(asked: RetentionQuestion<KnownBackup>): RetentionQuestion<KnownBackup> {
  const gone = idsOf(decideRetention(asked).flatMap(({ keep, backup }) => (keep ? [] : [backup])));
  return { ...asked, backups: asked.backups.filter(({ id }) => !gone.has(id)) };
}

function counting(backups: readonly KnownBackup[]): readonly KnownBackup[] {
  const hasCopy = ({ copies }: KnownBackup, wanted: string) =>
    copies.some(({ storage, state }) => storage === STORAGE && state === wanted);
  const damaged = idsOf(
    backups.filter((backup) => hasCopy(backup, "damaged") || backup.notes.verified?.passed === false),
  );
  const counts = (backup: KnownBackup) =>
    isGood(backup) && hasCopy(backup, "complete") && !ancestorIdsOf(backup).some((id) => damaged.has(id));
  return backups.filter(counts).sort(newestFirst);
}

function sourcesIn(backups: readonly KnownBackup[]): ReadonlySet<string> {
  return new Set(backups.flatMap(wholeSourcesOf));
}

describe("of every history, under every policy", () => {
  it("the last good backup of each source stays", () => {
    always(fc.constant(0), (asked) => {
      const kept = idsOf(keptOf(asked));
      const good = counting(asked.backups);
      for (const source of sourcesIn(good)) {
        const last = good.find((backup) => wholeSourcesOf(backup).includes(source));
        expect(last === undefined || kept.has(last.id)).toBe(true);
      }
    });
  });

  it("the last verified one of each source stays", () => {
    always(fc.constant(0), (asked) => {
      const kept = idsOf(keptOf(asked));
      const verified = counting(asked.backups).filter(({ notes }) => notes.verified?.passed === true);
      for (const source of sourcesIn(verified)) {
        const last = verified.find((backup) => wholeSourcesOf(backup).includes(source));
        expect(last === undefined || kept.has(last.id)).toBe(true);
      }
    });
  });

  it("a kept backup keeps all that it builds on", () => {
    always(fc.constant(0), (asked) => {
      const { backups } = afterwards(asked);
      const left = idsOf(backups);
      for (const backup of keptOf(asked)) {
        expect(ancestorIdsOf(backup).filter((id) => !left.has(id))).toEqual([]);
      }
    });
  });

  it("cleaning up again removes nothing", () => {
    always(fc.constant(0), (asked) => {
      const again = decideRetention(afterwards(asked));
      expect(again.filter(({ keep }) => !keep)).toEqual([]);
    });
  });

  it("a gap removes nothing: without a new backup, nothing goes that did not go before", () => {
    always(fc.integer({ min: 1, max: 4000 }), (asked, days) => {
      const newest = Math.max(...asked.backups.map(({ timestamp }) => Date.parse(timestamp)));
      const right = { ...asked, now: new Date(newest) };
      const later = { ...afterwards(right), now: new Date(newest + days * DAY_MS) };
      expect(decideRetention(later).filter(({ keep }) => !keep)).toEqual([]);
    });
  });

  it("a clock that went back removes no more than one that is right", () => {
    always(fc.integer({ min: 1, max: 4000 }), (asked, days) => {
      const kept = idsOf(keptOf({ ...asked, now: new Date(asked.now.getTime() - days * DAY_MS) }));
      expect(keptOf(asked).filter(({ id }) => !kept.has(id))).toEqual([]);
    });
  });

  it("backups that failed, are damaged or are not whole here make nothing go", () => {
    always(fc.constant(0), (asked) => {
      const good = idsOf(counting(asked.backups));
      const kept = idsOf(keptOf({ ...asked, backups: asked.backups.filter(({ id }) => good.has(id)) }));
      const gone = decideRetention(asked).filter(({ keep, backup }) => !keep && good.has(backup.id));
      expect(gone.filter(({ backup }) => kept.has(backup.id))).toEqual([]);
    });
  });

  it("a policy that keeps more keeps all that one that keeps less does", () => {
    always(policy, (asked, other) => {
      const more = keptOf({ ...asked, policy: moreOf(asked.policy, other) });
      const kept = idsOf(more);
      expect(keptOf(asked).filter(({ id }) => !kept.has(id))).toEqual([]);
    });
  });

  it("what is on hold, and what nobody can prove, stays", () => {
    always(fc.constant(0), (asked) => {
      const gone = decideRetention(asked).filter(({ keep }) => !keep);
      expect(gone.filter(({ backup }) => backup.notes.hold !== undefined || !backup.trusted)).toEqual([]);
    });
  });

  it("everything that lies there has a verdict, and every verdict a reason", () => {
    always(fc.constant(0), (asked) => {
      const verdicts = decideRetention(asked);
      const held = asked.backups.filter(({ copies }) => copies.some(({ state }) => state === "complete"));
      expect(idsOf(verdicts.map(({ backup }) => backup))).toEqual(idsOf(held));
      expect(verdicts.filter(({ reasons }) => reasons.length === 0)).toEqual([]);
    });
  });
});

/** What at least one of the two keeps. */
function moreOf(left: StoragePolicy, right: StoragePolicy): StoragePolicy {
  const most = (a: number | undefined, b: number | undefined) =>
    a === undefined || b === undefined ? (a ?? b) : Math.max(a, b);
  const [a, b] = [left.keep, right.keep];
  const longest = (["daily", "weekly"] as const).flatMap((name) => {
    const [one, two] = [left.longer[name], right.longer[name]];
    if (one === undefined || two === undefined)
      return one === undefined && two === undefined ? [] : [[name, one ?? two]];
    const longer = one === "forever" || (two !== "forever" && one.amount > two.amount) ? one : two;
    return [[name, longer]];
  });
  return {
    longer: Object.fromEntries(longest),
    keep: {
      last: most(a.last, b.last),
      periods: {
        hourly: most(a.periods.hourly, b.periods.hourly),
        daily: most(a.periods.daily, b.periods.daily),
        weekly: most(a.periods.weekly, b.periods.weekly),
        monthly: most(a.periods.monthly, b.periods.monthly),
        yearly: most(a.periods.yearly, b.periods.yearly),
      },
      within: (a.within?.amount ?? 0) > (b.within?.amount ?? 0) ? a.within : b.within,
      tags: [...new Set([...a.tags, ...b.tags])],
    },
    // Without a limit time alone decides.
    maxBackups:
      left.maxBackups === undefined || right.maxBackups === undefined
        ? undefined
        : most(left.maxBackups, right.maxBackups),
  };
}
