import { formatBytes } from "../../domain/size.ts";
import { formatDay } from "../../domain/timestamp.ts";
import type { CleanupSimulation } from "../../operations/operations.ts";
import { dim, type Look, strong } from "./look.ts";
import { type Column, renderTable } from "./table.ts";

const ROWS = 14;

type Day = CleanupSimulation["days"][number];

interface Row {
  readonly at: Date;
  readonly storage: Day["storages"][number];
}

/** Some days of each storage, from the first to the last, and where it is fullest; then whether cleanup would be refused. */
export async function renderSimulation(look: Look, simulation: CleanupSimulation): Promise<string> {
  const { schedules, cleanups, locksUnknown, sizesUnknown, days } = simulation;
  const names = days[0]?.storages.map(({ name }) => name) ?? [];
  const tables = await Promise.all(names.map((name) => storageTable(look, name, days)));
  const cleaning =
    cleanups.length === 0
      ? "cleanup runs every day, for which there is no schedule"
      : `${cleanups.join(", ")} cleans up`;
  const succeed = schedules.length === 1 ? "succeeds" : "succeed";
  const assumed = look.line`If ${schedules.join(", ")} always ${succeed}, with backups as large as the last ones, and ${cleaning}:`;
  const locks =
    locksUnknown.length === 0
      ? []
      : [
          look.line`What a bucket keeps locked is not counted: where ${locksUnknown.join(", ")} has such locks, more stays there.`,
        ];
  const sizes =
    sizesUnknown.length === 0
      ? []
      : [
          look.line`No ${sizesUnknown.join(" or ")} backup was made yet, so those count nothing in what is stored: look again when there are some.`,
        ];
  return [assumed, ...tables, ...sizes, ...refusals(look, days), ...locks].join("\n\n");
}

/** Each time from which on cleanup would be refused, until it would not be any longer. */
function refusals(look: Look, days: readonly Day[]): readonly string[] {
  const periods = Map.groupBy(days, ({ refused }) => refused?.since.getTime());
  return [...periods.values()].flatMap((period) => {
    const [{ refused } = {}] = period;
    const last = period.at(-1);
    if (refused === undefined || last === undefined) return [];
    const from = formatDay(refused.since, look.timezone);
    const until = last === days.at(-1) ? "on" : `to ${formatDay(last.at, look.timezone)}`;
    const help = refused.brake.kind === "max-delete" ? " Clean up more often, or raise retention.max_delete." : "";
    return [look.line`Cleanup is refused from ${from} ${until}: ${refused.brake.text}.${help}`];
  });
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
