import type { SourceMetadata } from "../../domain/backup.ts";
import { count } from "../../domain/count.ts";
import { formatBytes, formatRatio } from "../../domain/size.ts";
import type { BackupDetails } from "../../operations/operations.ts";
import { heading, summaryFields } from "./backups.ts";
import { renderFields } from "./fields.ts";
import { bad, caution, formatSeconds, good, type Look, type Painted } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

/** Everything that is known of one backup, in sections. */
export async function renderDetails(look: Look, backup: BackupDetails): Promise<string> {
  const sources = backup.metadata?.sources ?? [];
  const sections = [
    `${heading(look, backup)}\n${renderFields(look, summaryFields(look, backup))}`,
    section("Stored", renderFields(look, storedFields(look, backup))),
    section("Trust", renderFields(look, trustFields(look, backup))),
    section("Sources", indented(sources.length === 0 ? "" : await sourceTable(look, sources))),
    section("Problems", problems(look, backup)),
    section("Lineage", renderFields(look, lineageFields(backup))),
  ];
  return sections.filter((text) => text !== "").join("\n\n");
}

function section(title: string, body: string): string {
  return body === "" ? "" : `${title}\n${body}`;
}

function indented(text: string): string {
  return text === "" ? "" : text.replace(/^/gm, "  ");
}

function storedFields(look: Look, { metadata, compressionRatio, location, copies }: BackupDetails) {
  const compression = metadata?.compression;
  const ratio = compressionRatio === undefined ? "" : `, ratio ${compressionRatio.toFixed(1)}x`;
  return [
    ["location", location],
    ["copies", copies.map(({ storage, state, at }) => `${storage} ${state} (${look.time(at)})`).join(", ")],
    ["compression", metadata === undefined ? undefined : compressionText(compression) + ratio],
    ["encryption", metadata === undefined ? undefined : (metadata.encryption_algorithm ?? "none")],
    ["key", metadata?.key_id ?? undefined],
    ["checksum", metadata?.checksum],
    [
      "objects",
      metadata === undefined ? undefined : `${metadata.objects.count}, ${formatBytes(metadata.objects.bytes)}`,
    ],
    ["made by", metadata === undefined ? undefined : `${metadata.created_by}, backupctl ${metadata.software_version}`],
  ] as const;
}

function compressionText(
  compression: { readonly algorithm: string; readonly level: number } | null | undefined,
): string {
  return compression == null ? "none" : `${compression.algorithm} ${compression.level}`;
}

function trustFields(look: Look, backup: BackupDetails) {
  const { metadata, verification, notes, restoreCount, lastRestore } = backup;
  return [
    ["on creation", metadata === undefined ? undefined : ON_CREATION[metadata.verified]],
    ["verified", verifiedText(look, verification)],
    ["quarantine", notes.quarantine === undefined ? undefined : bad(notes.quarantine.reason)],
    ["restored", restoreText(look, restoreCount, lastRestore)],
  ] as const;
}

const ON_CREATION = {
  none: caution("not checked"),
  blocks: "every block opened again",
  full: "everything read back from storage",
} as const;

function verifiedText(look: Look, verification: BackupDetails["verification"]): Painted {
  if (verification === undefined) return caution("never");
  const { passed, depth, at } = verification;
  const text = `${depth}, ${look.time(at)}`;
  return passed ? good(`passed: ${text}`) : bad(`FAILED: ${text}`);
}

function restoreText(look: Look, restores: number, last: string | undefined): string {
  return last === undefined ? "never" : `${count(restores, "time")}, last ${look.time(last)}`;
}

function sourceTable(look: Look, sources: readonly SourceMetadata[]): Promise<string> {
  const columns: readonly Column<SourceMetadata>[] = [
    { title: "Source", rank: 0, shrinkTo: 12, cell: ({ name }) => name },
    { title: "Engine", rank: 2, cell: ({ engine }) => engine },
    { title: "Component", rank: 3, cell: ({ component }) => component },
    { title: "Status", rank: 0, cell: sourceStatus },
    { title: "Size", rank: 0, align: "right", cell: ({ size }) => formatBytes(size) },
    { title: "New", rank: 4, align: "right", cell: (source) => formatBytes(source.new_size) },
    { title: "Stored", rank: 4, align: "right", cell: (source) => formatBytes(source.stored_size) },
    { title: "Ratio", rank: 6, align: "right", cell: (source) => formatRatio(source.new_size, source.stored_size) },
    { title: "Took", rank: 7, align: "right", cell: (source) => formatSeconds(source.duration_seconds) },
    { title: "Holds", rank: 1, shrinkTo: 16, cell: ({ counts }) => countsText(counts) },
  ];
  return renderTable({ ...look, columns: look.columns - 2 }, columns, sources);
}

function sourceStatus({ status }: SourceMetadata): Painted {
  if (status === "completed") return good(status);
  return status === "failed" ? bad(status) : caution(status);
}

/** `3 tables, 120 rows`. */
export function countsText(counts: Readonly<Record<string, number>>): string {
  return Object.entries(counts)
    .filter(([, number]) => number > 0)
    .map(([what, number]) => {
      const plural = what.replaceAll("_", " ");
      return count(number, plural.replace(/ies$/, "y").replace(/s$/, ""), plural);
    })
    .join(", ");
}

function problems(look: Look, { error, metadata }: BackupDetails): string {
  const sources = metadata?.sources ?? [];
  const lines = [
    ...(error === undefined ? [] : [look.line`${bad(error.code)}: ${error.message}`]),
    ...sources.flatMap((source) =>
      source.error === undefined ? [] : [look.line`${source.name}: ${bad(source.error.code)}: ${source.error.message}`],
    ),
    ...sources.flatMap(({ name, unreadable }) =>
      unreadable === 0 ? [] : [look.line`${name}: ${caution(`${unreadable} unreadable`)}`],
    ),
    ...sources.flatMap(({ name, narrowed }) =>
      narrowed === undefined ? [] : [look.line`${name}: ${caution("only the tables that --table named")}`],
    ),
    ...sources.flatMap(({ name, warnings }) => warnings.map((warning) => look.line`${name}: ${warning}`)),
    ...(metadata?.warnings ?? []).map((warning) => look.show(warning)),
  ];
  return indented(lines.join("\n"));
}

function lineageFields({ metadata, children }: BackupDetails) {
  const ancestors = (metadata?.lineage ?? []).map(({ id }) => id).filter((id) => id !== metadata?.id);
  return [
    ["built on", ancestors.map((id) => id.slice(0, 8)).join(" > ")],
    ["needed by", children.map((id) => id.slice(0, 8)).join(", ")],
  ] as const;
}
