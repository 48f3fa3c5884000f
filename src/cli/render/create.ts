import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import type { BackupSummary, CreatePlan, CreateResult, SourceResult } from "../../operations/operations.ts";
import { statusText } from "./backups.ts";
import { bad, caution, formatSeconds, good, type Look, type Painted, strong } from "./look.ts";
import { countsText } from "./show.ts";
import { type Column, renderTable } from "./table.ts";

const MOST_UNREADABLE = 10;

export function renderCreatePlan(look: Look, plan: CreatePlan): string {
  const { type, mode, category, parentId, storages, encrypted, compression } = plan;
  const on = parentId === undefined ? "" : ` on ${look.id(parentId)}`;
  const lines = [
    look.line`${strong(`${type} backup`)}, ${mode}${on}, class ${category}, to ${storages.join(", ")}`,
    look.line`  ${count(plan.sources.length, "source")}, ${estimate(plan)}; ${compression}, ${encrypted ? "encrypted" : caution("not encrypted")}`,
  ];
  if (plan.modeReason !== undefined) {
    const instead = mode === plan.requestedMode ? "not on the newest" : `${mode} instead of ${plan.requestedMode}`;
    lines.push(look.line`  ${caution(instead)}: ${plan.modeReason}`);
  }
  return lines.join("\n");
}

function estimate({ uncertain, estimatedBytes, estimatedSeconds }: CreatePlan): string {
  if (uncertain && estimatedBytes === 0) return "size and time unknown";
  const about = uncertain ? "roughly" : "about";
  return `${about} ${formatBytes(estimatedBytes)}, ${about} ${formatSeconds(estimatedSeconds)}`;
}

export function renderPlannedSources(look: Look, { sources }: CreatePlan): Promise<string> {
  return renderTable(
    look,
    [
      { title: "Source", rank: 0, shrinkTo: 12, cell: ({ name }) => name },
      { title: "Engine", rank: 1, cell: ({ engine }) => engine },
      { title: "Component", rank: 2, cell: ({ component }) => component },
      { title: "About", rank: 0, align: "right", cell: ({ estimatedBytes }) => formatBytes(estimatedBytes) },
    ],
    sources,
  );
}

export async function renderCreateResult(look: Look, result: CreateResult): Promise<string> {
  const { backup, sources, storages } = result;
  if (!result.created || backup === undefined) return "Nothing changed since the last backup: none was made.";
  const table = await sourceTable(look, sources);
  const where = storages.map(({ name, state }) => (state === "complete" ? name : `${name} (${state})`)).join(", ");
  return [headline(look, backup), "", table.replace(/^/gm, "  "), "", look.line`in ${where}`].join("\n");
}

function headline(look: Look, { id, status, durationSeconds, sizeBytes, storedBytes }: BackupSummary): string {
  const took = durationSeconds === undefined ? "" : ` in ${formatSeconds(durationSeconds)}`;
  const stored =
    storedBytes === undefined ? "" : `: ${formatBytes(sizeBytes ?? 0)}, ${formatBytes(storedBytes)} stored`;
  return look.line`backup ${strong(id)} ${statusText(status)}${took}${stored}`;
}

function sourceTable(look: Look, sources: readonly SourceResult[]): Promise<string> {
  const columns: readonly Column<SourceResult>[] = [
    { title: "Source", rank: 0, shrinkTo: 12, cell: ({ name }) => name },
    { title: "Status", rank: 0, cell: sourceStatus },
    { title: "Size", rank: 0, align: "right", cell: ({ sizeBytes }) => formatBytes(sizeBytes) },
    { title: "New", rank: 2, align: "right", cell: ({ newBytes }) => formatBytes(newBytes) },
    { title: "Stored", rank: 1, align: "right", cell: ({ storedBytes }) => formatBytes(storedBytes) },
    { title: "Took", rank: 4, align: "right", cell: ({ seconds }) => formatSeconds(seconds) },
    { title: "Holds", rank: 3, shrinkTo: 16, cell: ({ counts }) => countsText(counts) },
  ];
  return renderTable({ ...look, columns: look.columns - 2 }, columns, sources);
}

function sourceStatus({ status }: SourceResult): Painted {
  if (status === "completed") return good(status);
  return status === "failed" ? bad(status) : caution(status);
}

/** What went wrong in the sources and the storages: a line each. Warnings were said when they came up. */
export function createProblems(look: Look, { sources }: CreateResult): readonly string[] {
  return [
    ...sources.flatMap(({ name, error }) => {
      if (error === undefined) return [];
      const hint = error.hint === undefined ? "" : look.line` ${error.hint}`;
      return [look.line`source "${name}" failed: ${error.code}: ${error.message}.${hint}`];
    }),
    ...sources.flatMap(({ name, unreadable }) => unreadableLines(look, name, unreadable)),
  ];
}

function unreadableLines(look: Look, source: string, unreadable: readonly string[]): readonly string[] {
  const shown = unreadable
    .slice(0, MOST_UNREADABLE)
    .map((path) => look.line`source "${source}" could not read ${path}`);
  const more = unreadable.length - shown.length;
  return more > 0
    ? [...shown, look.line`source "${source}" could not read ${count(more, "more entry", "more entries")}`]
    : shown;
}
