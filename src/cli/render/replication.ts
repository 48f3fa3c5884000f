import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { withName } from "../../domain/storage-messages.ts";
import type { ReplicateResult, StorageReplication } from "../../operations/operations.ts";
import { bad, caution, good, type Look, type Painted } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

export async function renderReplication(look: Look, { dryRun, storages }: ReplicateResult): Promise<string> {
  const columns: readonly Column<StorageReplication>[] = [
    { title: "Storage", rank: 0, shrinkTo: 12, cell: ({ name }) => name },
    { title: "State", rank: 0, cell: stateOf },
    ...(dryRun ? [] : copiedColumns()),
    { title: "Lacks", rank: 0, align: "right", cell: ({ lag }) => `${lag.backups}` },
    { title: "Bytes", rank: 2, align: "right", cell: ({ lag }) => formatBytes(lag.bytes) },
    { title: "Oldest", rank: 1, cell: ({ lag }) => (lag.oldest === undefined ? "" : look.time(lag.oldest)) },
  ];
  const table = await renderTable(look, columns, storages);
  return dryRun ? `${table}\n\nNothing was copied (--dry-run).` : table;
}

function copiedColumns(): readonly Column<StorageReplication>[] {
  return [
    { title: "Copied", rank: 0, align: "right", cell: ({ copied }) => `${copied.length}` },
    { title: "Sent", rank: 1, align: "right", cell: ({ bytes }) => formatBytes(bytes) },
  ];
}

function stateOf({ failure, lag }: StorageReplication): Painted {
  if (failure !== undefined) return bad("failed");
  return lag.backups === 0 ? good("complete") : caution("behind");
}

/** A line each; damage is named with its backup. */
export function replicationProblems(look: Look, { storages }: ReplicateResult): readonly string[] {
  return storages.flatMap(({ name, failure, notCopied }) => [
    ...(failure === undefined ? [] : [look.line`${withName(name, failure.message)}.${hintOf(failure)}`]),
    ...notCopied.map(({ error }) => look.line`${withName(name, error.message)}.${hintOf(error)}`).slice(0, MOST_SHOWN),
    ...(notCopied.length > MOST_SHOWN
      ? [look.line`storage "${name}": and ${count(notCopied.length - MOST_SHOWN, "more backup")}`]
      : []),
  ]);
}

const MOST_SHOWN = 20;

function hintOf({ hint }: { readonly hint?: string }): string {
  return hint === undefined ? "" : ` ${hint}`;
}
