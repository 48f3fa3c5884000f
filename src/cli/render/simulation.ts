import { formatBytes } from "../../domain/size.ts";
import { formatDay } from "../../domain/timestamp.ts";
import type { CleanupSimulation } from "../../operations/operations.ts";
import { dim, type Look, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

const ROWS = 14;

type Day = CleanupSimulation["days"][number];

interface Row extends Omit<Day, "storages"> {
  readonly storage: Day["storages"][number];
}

/** Some days of each storage, from the first to the last, and where it is fullest. */
export async function renderSimulation(look: Look, { schedules, days }: CleanupSimulation): Promise<string> {
  const names = days[0]?.storages.map(({ name }) => name) ?? [];
  const tables = await Promise.all(names.map((name) => storageTable(look, name, days)));
  const assumed = look.line`If ${schedules.join(", ")} always succeed, with backups as large as the last ones, and cleanup runs every day:`;
  return [assumed, ...tables].join("\n\n");
}

async function storageTable(look: Look, name: string, days: readonly Day[]): Promise<string> {
  const rows = days.flatMap(({ at, storages }): readonly Row[] =>
    storages.filter((each) => each.name === name).map((storage) => ({ at, storage })),
  );
  const columns: readonly Column<Row>[] = [
    { title: name, rank: 0, cell: ({ at }) => strong(formatDay(at, look.timezone)) },
    { title: "Backups", rank: 0, align: "right", cell: ({ storage }) => String(storage.backups) },
    { title: "Full", rank: 1, align: "right", cell: ({ storage }) => String(storage.full) },
    { title: "Stored", rank: 0, align: "right", cell: ({ storage }) => formatBytes(storage.bytes) },
    { title: "Oldest", rank: 1, cell: ({ storage }) => dim(oldestText(look, storage.oldest)) },
  ];
  const fullest = rows.reduce<Row | undefined>(
    (most, row) => (most !== undefined && most.storage.bytes >= row.storage.bytes ? most : row),
    undefined,
  );
  const table = await renderTable(look, columns, sampled(rows));
  if (fullest === undefined) return table;
  return `${table}\n${look.line`At most ${formatBytes(fullest.storage.bytes)}, on ${formatDay(fullest.at, look.timezone)}.`}`;
}

/** The first, the last, and as many between them as fit. */
function sampled(rows: readonly Row[]): readonly Row[] {
  if (rows.length <= ROWS) return rows;
  return Array.from({ length: ROWS }, (_, index) => rows[Math.round((index * (rows.length - 1)) / (ROWS - 1))]).filter(
    (row) => row !== undefined,
  );
}

function oldestText(look: Look, oldest: string | undefined): string {
  return oldest === undefined ? "" : formatDay(new Date(oldest), look.timezone);
}
