import { z } from "zod";
import { count } from "../../domain/count.ts";
import type { RestoreOutcome } from "../engine.ts";
import { COMPARED_LISTS, type DatabaseInventory } from "./inventory.ts";
import { readInventory } from "./read-inventory.ts";
import type { Session } from "./session.ts";
import { qualified } from "./target.ts";

type Check = RestoreOutcome["checks"][number];

/** How many of the things that differ a check's detail names. */
const NAMED = 3;

/** Compares a restored database with what its backup held: every object by name, every table by counting its rows. */
export async function checkRestored(
  session: Session,
  expected: DatabaseInventory,
  activity: (item: string) => void,
): Promise<readonly Check[]> {
  await session.execute(
    "select pg_catalog.set_config('search_path', '', false); set row_security = off; set statement_timeout = 0",
  );
  const found = await readInventory(session);
  return [
    presence("tables", expected.tables, found.tables),
    await rowCounts(session, expected, activity),
    await sequenceValues(session, expected),
    ...COMPARED_LISTS.map(({ list, label }) => presence(label, expected[list], found[list])),
    compared("large objects", [
      { name: "large objects", expected: expected.large_objects, found: found.large_objects },
    ]),
  ];
}

type Item = string | Readonly<Record<string, unknown>>;

function nameOf(item: Item): string {
  if (typeof item === "string") return item;
  const { schema, table, name, arguments: args } = item;
  const path = [schema, table, name].filter((part) => part !== undefined).join(".");
  return args === undefined ? path : `${path}(${String(args)})`;
}

function presence(name: string, expected: readonly Item[], found: readonly Item[]): Check {
  const there = new Set(found.map(nameOf));
  const missing = expected.map(nameOf).filter((item) => !there.has(item));
  const detail = `${expected.length - missing.length} of ${expected.length}`;
  return {
    name,
    passed: missing.length === 0,
    detail: missing.length === 0 ? detail : `${detail}, missing ${some(missing)}`,
  };
}

interface Compared {
  readonly name: string;
  readonly expected: string | number;
  readonly found: string | number;
}

function compared(name: string, pairs: readonly Compared[], unit = ""): Check {
  const wrong = pairs.filter((pair) => pair.expected !== pair.found);
  if (wrong.length === 0)
    return { name, passed: true, detail: unit === "" ? `${pairs[0]?.found ?? pairs.length}` : unit };
  const details = wrong.map((pair) => `${pair.name}: ${pair.found} instead of ${pair.expected}`);
  return { name, passed: false, detail: some(details) };
}

function some(items: readonly string[]): string {
  const rest = items.length - NAMED;
  return items.slice(0, NAMED).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

async function rowCounts(
  session: Session,
  expected: DatabaseInventory,
  activity: (item: string) => void,
): Promise<Check> {
  const pairs: Compared[] = [];
  let total = 0;
  for (const table of expected.tables.filter(({ kind }) => kind === "table")) {
    activity(`counting ${table.schema}.${table.name}`);
    const count = z.object({ rows: z.coerce.number() });
    // only: the rows of inheriting tables are counted with those
    const [row] = await session.rows(count, `select count(*) as rows from only ${qualified(table)}`);
    // a table whose rows were left out of the dump comes back empty
    const found = row?.rows ?? 0;
    pairs.push({ name: `${table.schema}.${table.name}`, expected: table.rows ?? 0, found });
    total += found;
  }
  return compared("rows", pairs, `${total} in ${count(pairs.length, "table")}`);
}

async function sequenceValues(session: Session, expected: DatabaseInventory): Promise<Check> {
  const pairs: Compared[] = [];
  for (const sequence of expected.sequences) {
    // a sequence without a value in the dump is not ours to compare
    if (sequence.last_value === null || sequence.is_called === undefined) continue;
    const value = z.object({ value: z.string() });
    const [row] = await session.rows(
      value,
      `select last_value::text || case when is_called then '' else ' (unused)' end as value from ${qualified(sequence)}`,
    );
    const wanted = sequence.last_value + (sequence.is_called ? "" : " (unused)");
    pairs.push({ name: `${sequence.schema}.${sequence.name}`, expected: wanted, found: row?.value ?? "nothing" });
  }
  return compared("sequence values", pairs, `${pairs.length} as backed up`);
}
