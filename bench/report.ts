import type { Contender, Work } from "./contenders.ts";
import type { Metric, Results } from "./results.ts";
import type { SetName } from "./sets.ts";
import type { StartupRun } from "./startup.ts";

/** What the tables of one set have in common. */
export interface SetReport {
  readonly set: SetName;
  readonly description: string;
  readonly works: readonly Work[];
  readonly contenders: readonly Pick<Contender, "key" | "title">[];
}

export const WORK_TITLES: Readonly<Record<Work, string>> = {
  first: "first backup",
  unchanged: "unchanged",
  changed: "1 % changed",
  restore: "restore",
  one: "one file out of all",
  verify: "verify",
};

const ROWS: readonly { readonly metric: Metric; readonly title: string; readonly show: (value: number) => string }[] = [
  { metric: "seconds", title: "time", show: (value) => `${value.toFixed(2)} s` },
  { metric: "bytes_per_second", title: "throughput", show: (value) => `${Math.round(value / 1e6)} MB/s` },
  { metric: "cpu_seconds", title: "processor", show: (value) => `${value.toFixed(2)} s` },
  { metric: "stored_bytes", title: "stored", show: showBytes },
  { metric: "peak_memory_bytes", title: "memory", show: showBytes },
];

export function showBytes(bytes: number): string {
  return Math.abs(bytes) < 1e6 ? `${(bytes / 1e3).toFixed(0)} kB` : `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

/** A Markdown table, also readable as text: a column for each contender, its ratio to ours in brackets. */
export function tableOf(report: SetReport, results: Results): string {
  const rows = [["", ...report.contenders.map(({ title }) => title)]];
  for (const work of report.works) {
    for (const { metric, title, show } of ROWS) {
      if (metric === "stored_bytes" && (work === "one" || work === "verify")) continue;
      if (metric === "bytes_per_second" && work === "one") continue;
      const ours = results[`${report.set}.${work}.backupctl.${metric}`];
      const cells = report.contenders.map(({ key }) => {
        const value = results[`${report.set}.${work}.${key}.${metric}`];
        if (value === undefined) return "";
        if (key.startsWith("backupctl") || metric === "bytes_per_second" || ours === undefined) return show(value);
        return `${show(value)} (${ours > 0 ? (value / ours).toFixed(2) : "–"})`;
      });
      const shown = metric === "stored_bytes" && work === "restore" ? "on the disk" : title;
      rows.push([`${WORK_TITLES[work]}: ${shown}`, ...cells]);
    }
  }
  return alignedTable(rows);
}

const STARTUP_TITLES: Readonly<Record<StartupRun, string>> = {
  help: "--help",
  list: "list",
  list_json: "list --json, all of them",
  show: "show latest",
  status: "status",
  delete: "delete --dry-run",
  create: "create, of one small file",
  rebuild: "catalog rebuild, from nothing",
  verify: "verify --all --quick",
};

export function startupTable(results: Results): string {
  const rows = Object.entries(STARTUP_TITLES).map(([run, title]) => {
    const value = (metric: Metric) => results[`startup.${run}.${metric}`] ?? Number.NaN;
    const seconds = (metric: Metric) => `${value(metric).toFixed(2)} s`;
    return [title, seconds("seconds"), seconds("cpu_seconds"), showBytes(value("peak_memory_bytes"))];
  });
  return alignedTable([[`with ${results["startup.backups"]} backups`, "time", "processor", "memory"], ...rows]);
}

export function alignedTable(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_, column) => Math.max(3, ...rows.map((row) => row[column]?.length ?? 0)));
  const lines = rows.map((row) => `| ${row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(" | ")} |`);
  const rule = `| ${widths.map((width) => "-".repeat(width)).join(" | ")} |`;
  return [lines[0], rule, ...lines.slice(1)].join("\n");
}
