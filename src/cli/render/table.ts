import type { Look, Painted, Piece } from "./look.ts";
import { displayWidth, shorten } from "./width.ts";

export interface Column<R> {
  readonly title: string;
  readonly cell: (row: R) => Piece;
  readonly align?: "right";
  /** 0 always stays; of the others the highest goes first where the terminal is too narrow. */
  readonly rank: number;
  /** May be shortened down to this width before a column of rank 0 would not fit. */
  readonly shrinkTo?: number;
}

const GAP = 2;
const NO_BORDERS = {
  ...{ top: "", "top-mid": "", "top-left": "", "top-right": "" },
  ...{ bottom: "", "bottom-mid": "", "bottom-left": "", "bottom-right": "" },
  ...{ left: "", "left-mid": "", mid: "", "mid-mid": "", right: "", "right-mid": "" },
  middle: " ".repeat(GAP),
};

/** A table without lines that never wraps: columns are left out, then shortened, until it fits the terminal. */
export async function renderTable<R>(look: Look, columns: readonly Column<R>[], rows: readonly R[]): Promise<string> {
  const { default: Table } = await import("cli-table3");
  const filled = columns.filter((column) => column.rank === 0 || rows.some((row) => plainOf(column.cell(row)) !== ""));
  const measured = filled.map((column) => ({ column, width: widthOf(look, column, rows) }));
  const fitting = fitColumns(measured, look.columns);
  const table = new Table({
    chars: NO_BORDERS,
    style: { "padding-left": 0, "padding-right": 0, head: [], border: [], compact: true },
    head: fitting.map(({ column, width }) => look.show({ text: shorten(column.title, width), tint: "dim" })),
    colAligns: fitting.map(({ column }) => column.align ?? "left"),
  });
  for (const row of rows) table.push(fitting.map(({ column, width }) => cellText(look, column.cell(row), width)));
  return table
    .toString()
    .split("\n")
    .map((line) => line.trimEnd())
    .join("\n");
}

interface Measured<R> {
  readonly column: Column<R>;
  readonly width: number;
}

function fitColumns<R>(measured: readonly Measured<R>[], columns: number): readonly Measured<R>[] {
  const total = (list: readonly Measured<R>[]): number => list.reduce((sum, { width }) => sum + width + GAP, -GAP);
  let kept = measured;
  while (minimum(kept) > columns) {
    const worst = Math.max(...kept.map(({ column }) => column.rank));
    if (worst === 0) break;
    const last = kept.findLastIndex(({ column }) => column.rank === worst);
    kept = kept.filter((_, index) => index !== last);
  }
  for (let over = total(kept) - columns; over > 0; over = total(kept) - columns) {
    const widest = kept.reduce((best, each) => (slack(each) > slack(best) ? each : best), kept[0] ?? NOTHING);
    if (slack(widest) <= 0) break;
    const width = widest.width - Math.min(over, slack(widest));
    kept = kept.map((each) => (each === widest ? { ...each, width } : each));
  }
  return kept;

  function minimum(list: readonly Measured<R>[]): number {
    return total(list) - list.reduce((sum, each) => sum + slack(each), 0);
  }
}

const NOTHING: Measured<never> = { column: { title: "", cell: () => "", rank: 0 }, width: 0 };

function slack<R>({ column, width }: Measured<R>): number {
  return column.shrinkTo === undefined ? 0 : Math.max(0, width - column.shrinkTo);
}

function widthOf<R>(look: Look, column: Column<R>, rows: readonly R[]): number {
  const widths = rows.map((row) => displayWidth(look.show(plainOf(column.cell(row)))));
  return Math.max(displayWidth(column.title), ...widths);
}

function plainOf(piece: Piece): string {
  return typeof piece === "object" ? piece.text : String(piece);
}

function cellText(look: Look, piece: Piece, width: number): string {
  // Shortened after cleaning: an escaped character is longer than the one it stands for.
  const fitted = shorten(look.show(plainOf(piece)), width);
  const painted: Piece = typeof piece === "object" ? ({ ...piece, text: fitted } satisfies Painted) : fitted;
  return look.show(painted);
}
