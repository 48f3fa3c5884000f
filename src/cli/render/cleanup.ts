import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { withName } from "../../domain/storage-messages.ts";
import type { BackupSummary, CleanupPlan, CleanupResult, CleanupVerdict } from "../../operations/operations.ts";
import { bad, caution, dim, good, type Look, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

/** Storages that say the same of a backup share a line. */
interface Line {
  readonly backup: BackupSummary;
  readonly keep: boolean;
  readonly why: string;
  readonly storages: string[];
}

/** A line for each backup and its fate, then what becomes of each storage. */
export async function renderCleanupPlan(look: Look, plan: CleanupPlan): Promise<string> {
  const lines = linesOf(plan);
  if (lines.length === 0) return "There is no backup yet, and nothing to clean up.";
  const brakes = plan.brakes.map(({ text }) => look.line`${caution("refused unless forced")}: ${text}`);
  const unasked = plan.storages.flatMap(({ name, unasked: why }) =>
    why === undefined
      ? []
      : [look.line`${caution("not known whether anything is locked")}: ${withName(name, why.message)}`],
  );
  const parts = [
    await fateTable(look, plan, lines),
    await storageTable(look, plan),
    [...unasked, ...brakes].join("\n"),
  ];
  return parts.filter((part) => part !== "").join("\n\n");
}

/** What went and why, then a line for each storage. */
export async function renderCleanup(look: Look, { plan, archived, frozen, storages }: CleanupResult): Promise<string> {
  const gone = linesOf(plan).filter(
    ({ backup, keep }) => !keep && storages.some(({ removed }) => removed.includes(backup.id)),
  );
  const table = gone.length === 0 ? "" : `${await fateTable(look, plan, gone)}\n\n`;
  const outcomes = storages.map(({ name, leftOut, removed, bytes, locked }) => {
    if (leftOut) return look.line`${name}: ${caution("left out")}, since it is away: not looked at`;
    const what =
      removed.length === 0
        ? look.line`${name}: nothing removed`
        : look.line`${name}: ${count(removed.length, "backup")} removed, ${formatBytes(bytes)} freed`;
    return `${what}${lockedText(look, locked)}`;
  });
  const moved = [...Map.groupBy(archived, ({ to }) => to)].map(
    ([name, moves]) => look.line`${name}: ${count(moves.length, "backup")} archived and verified there`,
  );
  const cooled = [...Map.groupBy(frozen, ({ to }) => to)].map(
    ([name, moves]) => look.line`${name}: data of ${count(moves.length, "backup")} moved to the cold class`,
  );
  return `${table}${[...moved, ...cooled, ...outcomes].join("\n")}`;
}

function lockedText(look: Look, locked: CleanupResult["storages"][number]["locked"]): string {
  if (locked.length === 0) return "";
  const last = new Date(Math.max(...locked.map(({ until }) => until.getTime()))).toISOString();
  const stay = locked.length === 1 ? "stays" : "stay";
  return look.line`; ${count(locked.length, "backup")} that would go ${stay} locked, until ${look.time(last)} at the latest`;
}

/** What stayed against the plan, a line each. */
export function cleanupProblems(look: Look, { storages }: CleanupResult): readonly string[] {
  const problems = storages.flatMap(({ name, notRemoved, failure }) => [
    ...[...notRemoved.map(({ error }) => error), ...(failure === undefined ? [] : [failure])].map(
      ({ message, hint = "" }) => look.line`${withName(name, message)}. ${hint}`.trimEnd(),
    ),
  ]);
  // What holds for all that was to go is said once.
  return [...new Set(problems)];
}

function fateTable(look: Look, plan: CleanupPlan, lines: readonly Line[]): Promise<string> {
  const columns: readonly Column<Line>[] = [
    { title: "ID", rank: 0, cell: ({ backup }) => strong(look.id(backup.id)) },
    { title: `Created (${look.timezone})`, rank: 0, cell: ({ backup }) => look.shortTime(backup.timestamp) },
    { title: "Type", rank: 2, shrinkTo: 8, cell: ({ backup }) => backup.type },
    { title: "Mode", rank: 3, cell: ({ backup }) => backup.mode },
    { title: "Size", rank: 4, align: "right", cell: ({ backup }) => formatBytes(backup.storedBytes ?? 0) },
    { title: "Storage", rank: 1, shrinkTo: 8, cell: ({ storages }) => whereText(storages, plan) },
    { title: "", rank: 0, cell: ({ keep }) => (keep ? good("keep") : bad("remove")) },
    { title: "Why", rank: 0, shrinkTo: 24, cell: ({ keep, why }) => (keep ? dim(why) : why) },
  ];
  return renderTable(look, columns, lines);
}

function linesOf({ storages }: CleanupPlan): readonly Line[] {
  const lines = new Map<string, Line>();
  for (const { name, verdicts } of storages) {
    for (const { backup, keep, reasons } of verdicts) {
      const why = reasons.map(({ text }) => text).join("; ");
      const key = JSON.stringify([backup.id, keep, why]);
      const line = lines.get(key) ?? { backup, keep, why, storages: [] };
      line.storages.push(name);
      lines.set(key, line);
    }
  }
  return [...lines.values()].sort(
    (left, right) => Date.parse(right.backup.timestamp) - Date.parse(left.backup.timestamp),
  );
}

/** Nothing where there is only one storage to be in. */
function whereText(storages: readonly string[], plan: CleanupPlan): string {
  if (plan.storages.length === 1) return "";
  return storages.length === plan.storages.length ? "all" : storages.join(", ");
}

function storageTable(look: Look, { storages }: CleanupPlan): Promise<string> {
  const columns: readonly Column<CleanupPlan["storages"][number]>[] = [
    { title: "Storage", rank: 0, shrinkTo: 12, cell: ({ name }) => strong(name) },
    { title: "Keeps", rank: 0, align: "right", cell: ({ verdicts }) => sumText(verdicts.filter(({ keep }) => keep)) },
    { title: "Removes", rank: 0, align: "right", cell: ({ verdicts }) => String(goingOf(verdicts).length) },
    { title: "Frees about", rank: 0, align: "right", cell: ({ verdicts }) => formatBytes(bytesOf(goingOf(verdicts))) },
  ];
  return renderTable(look, columns, storages);
}

function goingOf(verdicts: readonly CleanupVerdict[]): readonly CleanupVerdict[] {
  return verdicts.filter(({ keep }) => !keep);
}

function bytesOf(verdicts: readonly CleanupVerdict[]): number {
  return verdicts.reduce((sum, { bytes }) => sum + bytes, 0);
}

function sumText(verdicts: readonly CleanupVerdict[]): string {
  return `${count(verdicts.length, "backup")}, ${formatBytes(bytesOf(verdicts))}`;
}
