import type { BackupStatus } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import type { BackupSummary } from "../../operations/operations.ts";
import { type Field, renderFields } from "./fields.ts";
import { bad, caution, dim, formatSeconds, good, type Look, type Painted, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

export function statusText(status: BackupStatus | "interrupted"): Painted {
  if (status === "completed") return good(status);
  if (status === "failed" || status === "interrupted" || status === "unreadable") return bad(status);
  return status === "running" || status === "pending" ? dim(status) : caution(status);
}

/** A row for each backup; the same on every command that lists backups. */
export function backupTable(look: Look, backups: readonly BackupSummary[]): Promise<string> {
  const columns: readonly Column<BackupSummary>[] = [
    { title: "ID", rank: 0, cell: ({ id }) => strong(look.id(id)) },
    { title: `Created (${look.timezone})`, rank: 0, cell: ({ timestamp }) => look.shortTime(timestamp) },
    { title: "Type", rank: 1, shrinkTo: 8, cell: ({ type }) => type },
    { title: "Mode", rank: 2, cell: ({ mode }) => mode },
    { title: "Class", rank: 6, cell: ({ category }) => category },
    { title: "Status", rank: 0, cell: ({ status }) => statusText(status) },
    { title: "Size", rank: 1, align: "right", cell: ({ sizeBytes }) => bytes(sizeBytes) },
    { title: "Stored", rank: 3, align: "right", cell: ({ storedBytes }) => bytes(storedBytes) },
    { title: "Took", rank: 7, align: "right", cell: ({ durationSeconds }) => seconds(durationSeconds) },
    { title: "Notes", rank: 4, shrinkTo: 12, cell: remarks },
  ];
  return renderTable(look, columns, backups);
}

/** Its metadata is there, but not proven. A run under way, and one that failed, have none. */
function isUnproven({ trusted, sizeBytes }: BackupSummary): boolean {
  return !trusted && sizeBytes !== undefined;
}

function whyUnproven({ encrypted }: BackupSummary): string {
  return encrypted === false
    ? "no: it is not encrypted, and no configured key proves that nobody else made it"
    : "no: its metadata could not be verified (is the key missing?)";
}

function remarks(backup: BackupSummary): string {
  const { hold, description, tags, damagedIn } = backup;
  return [
    ...(isUnproven(backup) ? ["unverified"] : []),
    ...(damagedIn.length === 0 ? [] : [`damaged in ${damagedIn.join(", ")}`]),
    ...(hold === undefined ? [] : ["on hold"]),
    ...(description === undefined ? [] : [description]),
    ...tags.map((tag) => `#${tag}`),
  ].join(", ");
}

/** A paragraph for each backup: `list --verbose`. */
export function backupParagraphs(look: Look, backups: readonly BackupSummary[]): string {
  return backups
    .map((backup) => {
      const { error } = backup;
      const problem: Field = ["problem", error === undefined ? undefined : bad(`${error.code}: ${error.message}`)];
      return `${heading(look, backup)}\n${renderFields(look, [...summaryFields(look, backup), problem])}`;
    })
    .join("\n\n");
}

export function heading(look: Look, { id, type, mode, status }: BackupSummary): string {
  return look.line`${strong(id)}  ${type}, ${mode}  ${statusText(status)}`;
}

export function summaryFields(look: Look, backup: BackupSummary): readonly Field[] {
  const { durationSeconds, sizeBytes, storedBytes } = backup;
  const took = durationSeconds === undefined ? "" : `, took ${formatSeconds(durationSeconds)}`;
  return [
    ["created", `${look.time(backup.timestamp)}${took}`],
    ["host", backup.host],
    ["size", sizeBytes === undefined ? undefined : `${formatBytes(sizeBytes)}, ${bytes(storedBytes)} stored`],
    ["components", backup.components.join(", ")],
    ["class", keptText(look, backup)],
    ["parent", backup.parentId],
    ["hold", backup.hold === undefined ? undefined : caution(backup.hold)],
    ["trusted", isUnproven(backup) ? bad(whyUnproven(backup)) : undefined],
    ["encrypted", backup.encrypted === false ? caution("no") : undefined],
    ["tags", backup.tags.join(", ")],
    ["description", backup.description],
    ["damaged in", backup.damagedIn.length === 0 ? undefined : bad(backup.damagedIn.join(", "))],
    ["warnings", backup.warnings === 0 ? undefined : caution(String(backup.warnings))],
  ];
}

function keptText(look: Look, { category, retentionUntil, hold }: BackupSummary): string {
  if (retentionUntil === undefined) return `${category}, kept until deleted`;
  return `${category}, kept until ${look.time(retentionUntil)}${hold === undefined ? "" : ", and while on hold"}`;
}

/** What a list must not pass over: backups that lack files, or that nobody can read. */
export function listWarnings(look: Look, backups: readonly BackupSummary[]): readonly string[] {
  return [incompleteWarning(look, backups), unreadableWarning(look, backups)].filter((text) => text !== undefined);
}

function unreadableWarning(look: Look, backups: readonly BackupSummary[]): string | undefined {
  const unreadable = backups.filter(({ status }) => status === "unreadable");
  const [first] = unreadable;
  if (first === undefined) return undefined;
  return look.line`${count(unreadable.length, "backup")} can't be read: \`backupctl show ${first.id.slice(0, 8)}\` says why`;
}

function incompleteWarning(look: Look, backups: readonly BackupSummary[]): string | undefined {
  const incomplete = backups.filter(({ status }) => status === "completed_with_errors");
  const [first] = incomplete;
  if (first === undefined) return undefined;
  const have = incomplete.length === 1 ? "has" : "have";
  return look.line`${count(incomplete.length, "backup")} ${have} unreadable files (completed_with_errors): \`backupctl show ${first.id.slice(0, 8)}\` names the source`;
}

function bytes(size: number | undefined): string {
  return size === undefined ? "-" : formatBytes(size);
}

function seconds(duration: number | undefined): string {
  return duration === undefined ? "-" : formatSeconds(duration);
}
