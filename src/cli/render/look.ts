import { formatInstant } from "../../domain/timestamp.ts";
import { wallClockAt } from "../../domain/zone.ts";
import type { Paint } from "./paint.ts";

export type Tint = "strong" | "dim" | "good" | "caution" | "bad";

/** Text with a meaning that colour shows. Never colour alone: the text says it too. */
export interface Painted {
  readonly text: string;
  readonly tint: Tint;
}

export type Piece = string | number | Painted;

export const strong = (text: string): Painted => ({ text, tint: "strong" });
export const dim = (text: string): Painted => ({ text, tint: "dim" });
export const good = (text: string): Painted => ({ text, tint: "good" });
export const caution = (text: string): Painted => ({ text, tint: "caution" });
export const bad = (text: string): Painted => ({ text, tint: "bad" });

/** How text is written to one stream. Whatever comes from outside goes through here, so that it can't drive the terminal. */
export interface Look {
  /** Infinite where nothing needs to fit. */
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly now: Date;
  readonly timezone: string;
  /** Cleaned, then painted. */
  show(piece: Piece): string;
  /** A template whose values are cleaned: look.line`restored ${name}`. */
  line(parts: TemplateStringsArray, ...pieces: readonly Piece[]): string;
  /** `2026-01-11 03:00:00 UTC`. */
  time(iso: string): string;
  /** `2026-01-11 03:00`, for a column whose title says the zone. */
  shortTime(iso: string): string;
  /** Whole where nothing needs to fit, else the first 8 characters. */
  id(id: string): string;
}

interface LookOptions {
  readonly columns: number;
  readonly isTerminal: boolean;
  readonly paint: Paint;
  readonly clean: (text: string) => string;
  readonly now: () => Date;
  /** Asked each time: the config that says it is loaded later. */
  readonly timezone: () => string;
}

export function createLook(options: LookOptions): Look {
  const { columns, isTerminal, paint, clean } = options;
  const show = (piece: Piece): string => {
    if (typeof piece === "number") return String(piece);
    return typeof piece === "string" ? clean(piece) : paint(clean(piece.text), piece.tint);
  };
  return {
    columns,
    isTerminal,
    get now() {
      return options.now();
    },
    get timezone() {
      return options.timezone();
    },
    show,
    line: (parts, ...pieces) =>
      parts.map((part, index) => part + (index < pieces.length ? show(pieces[index] ?? "") : "")).join(""),
    time: (iso) => {
      const at = new Date(iso);
      return Number.isNaN(at.getTime()) ? clean(iso) : formatInstant(at, options.timezone());
    },
    shortTime: (iso) => {
      const at = new Date(iso);
      return Number.isNaN(at.getTime()) ? clean(iso) : shortTime(at, options.timezone());
    },
    id: (id) => (isTerminal ? id.slice(0, 8) : id),
  };
}

function shortTime(at: Date, timezone: string): string {
  const { year, month, day, hour, minute } = wallClockAt(at, timezone);
  const two = (value: number): string => String(value).padStart(2, "0");
  return `${year}-${two(month)}-${two(day)} ${two(hour)}:${two(minute)}`;
}

/** For people: `45 s`, `4 min 5 s`, `2 h 10 min`. */
export function formatSeconds(seconds: number): string {
  const whole = Math.round(seconds);
  if (whole < 10 && seconds > 0) return `${seconds.toFixed(1)} s`;
  if (whole < 60) return `${whole} s`;
  if (whole < 3600) return `${Math.floor(whole / 60)} min ${whole % 60} s`;
  return `${Math.floor(whole / 3600)} h ${Math.floor((whole % 3600) / 60)} min`;
}
