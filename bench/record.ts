import { existsSync, readFileSync, writeFileSync } from "node:fs";
import type { Page, Surroundings } from "./page.ts";
import type { SetReport } from "./report.ts";
import type { Results } from "./results.ts";

/** What was measured last of each set: measuring all of them takes hours, and the pages are made of this. */
export interface BenchRecord {
  /** Of the last run. */
  readonly about: Surroundings;
  /** By the set's name, `startup` included. */
  readonly sets: Readonly<Record<string, MeasuredSet>>;
}

interface MeasuredSet {
  /** Day, commit, and how busy the machine was with other things. */
  readonly when: string;
  readonly report?: SetReport;
  readonly results: Results;
}

export function recordOf(reports: readonly SetReport[], results: Results, about: Surroundings): BenchRecord {
  const when = `${about["about.date"]} at ${about["about.commit"]}, ${about["about.other_cores"]} cores busy otherwise`;
  const names = new Set(Object.keys(results).map((key) => key.slice(0, key.indexOf("."))));
  const sets = [...names].map((name): [string, MeasuredSet] => {
    const found = reports.find(({ set }) => set === name);
    const own = Object.entries(results).filter(([key]) => key.startsWith(`${name}.`));
    const report = found === undefined ? {} : { report: { ...found, contenders: found.contenders.map(titleOf) } };
    return [name, { when, ...report, results: Object.fromEntries(own) }];
  });
  return { about, sets: Object.fromEntries(sets) };
}

function titleOf({ key, title }: SetReport["contenders"][number]): SetReport["contenders"][number] {
  return { key, title };
}

/** `file` with the sets of `record` in place of what it had of them. */
export function updateRecord(file: string, record: BenchRecord): BenchRecord {
  const before: BenchRecord | undefined = existsSync(file) ? JSON.parse(readFileSync(file, "utf8")) : undefined;
  const updated = { about: record.about, sets: { ...before?.sets, ...record.sets } };
  writeFileSync(file, `${JSON.stringify(updated, undefined, 1)}\n`);
  return updated;
}

export function pageOf({ about, sets }: BenchRecord): Page {
  const measured = Object.values(sets);
  return {
    about,
    reports: measured.flatMap(({ report, when }) =>
      report === undefined ? [] : [{ ...report, description: `${report.description}; ${when}` }],
    ),
    results: Object.assign({}, ...measured.map(({ results }) => results)),
    startup: sets.startup?.when,
  };
}
