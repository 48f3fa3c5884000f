import { formatBytes } from "../../domain/size.ts";
import type { StorageCheck, StorageSummary } from "../../operations/operations.ts";
import { bad, caution, dim, good, type Look, type Painted, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

type Result = StorageCheck["results"][number];

export function storageTable(look: Look, storages: readonly StorageSummary[]): Promise<string> {
  const columns: readonly Column<StorageSummary>[] = [
    { title: "Storage", rank: 0, cell: ({ name }) => strong(name) },
    { title: "Type", rank: 3, cell: ({ type }) => type },
    { title: "Role", rank: 2, cell: ({ role }) => role },
    { title: "Backups", rank: 0, align: "right", cell: ({ copies }) => String(copies.complete) },
    { title: "Pending", rank: 1, align: "right", cell: ({ lag }) => concern(lag.backups, caution) },
    {
      title: `Behind since (${look.timezone})`,
      rank: 3,
      cell: ({ lag }) => (lag.oldest === undefined ? "" : look.shortTime(lag.oldest)),
    },
    { title: "Damaged", rank: 1, align: "right", cell: ({ copies }) => concern(copies.damaged, bad) },
    { title: "Stored", rank: 0, align: "right", cell: ({ storedBytes }) => formatBytes(storedBytes) },
    { title: "By type", rank: 5, shrinkTo: 16, cell: byType },
    { title: "Free", rank: 1, align: "right", cell: freeText },
    { title: "Place", rank: 4, shrinkTo: 16, cell: ({ address }) => dim(address ?? "") },
  ];
  return renderTable(look, columns, storages);
}

function concern(number: number, paint: (text: string) => Painted): Painted | string {
  return number === 0 ? "" : paint(String(number));
}

function byType({ bytesByType }: StorageSummary): string {
  const types = Object.entries(bytesByType);
  return types.length < 2 ? "" : types.map(([type, bytes]) => `${type} ${formatBytes(bytes)}`).join(", ");
}

function freeText({ space, problem }: StorageSummary): Painted | string {
  if (space.freeBytes !== undefined) return formatBytes(space.freeBytes);
  return problem === undefined ? dim("not told") : bad("away");
}

export function storageProblems(look: Look, storages: readonly StorageSummary[]): readonly string[] {
  return storages.flatMap(({ problem }) => {
    if (problem === undefined) return [];
    return [look.line`${problem.message}${problem.hint === undefined ? "" : `. ${problem.hint}`}`];
  });
}

export function probeLine(look: Look, { what, outcome, detail }: Result): string {
  return look.line`${outcomeText(outcome)}  ${what}${detail === undefined ? "" : `: ${detail}`}`;
}

function outcomeText(outcome: Result["outcome"]): Painted {
  if (outcome === "works") return good("works ");
  return outcome === "fails" ? bad("FAILS ") : dim("absent");
}

export function renderStorageCheck(look: Look, { name, address, results, settings, passed }: StorageCheck): string {
  const failed = results.filter(({ outcome }) => outcome === "fails").length;
  const verdict = passed
    ? good("everything that a backup needs works")
    : bad(`${failed} of ${results.length} checks failed: mend them before a backup relies on it`);
  return [
    "",
    look.line`${strong(name)} (${address}): ${verdict}`,
    ...(settings.length === 0 ? [] : [look.line`Settings for it, under storages.${name}:`]),
    ...settings.map((setting) => look.line`  ${setting}`),
  ].join("\n");
}
