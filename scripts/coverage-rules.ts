interface Position {
  readonly line: number;
  /** From 0. */
  readonly column: number;
}

interface Range {
  readonly start: Position;
}

/** What one thread ran of a file, in the form of V8. Offsets are those of the text: Node only blanks types out. */
export interface ThreadCoverage {
  readonly functions: readonly {
    readonly ranges: readonly { readonly startOffset: number; readonly endOffset: number; readonly count: number }[];
  }[];
}

/** What vitest writes of one file, in the form of istanbul, as far as it is needed. */
export interface FileCoverage {
  readonly statementMap: Readonly<Record<string, Range>>;
  /** How often each statement ran. */
  readonly s: Readonly<Record<string, number>>;
  readonly branchMap: Readonly<Record<string, Branch>>;
  /** How often each way of a branch was taken. */
  readonly b: Readonly<Record<string, readonly number[]>>;
}

/** An `if`, `?:`, `&&`, `??`, `switch` or default, and where its ways begin. An `else` that is not written has no place. */
interface Branch {
  readonly type: string;
  readonly loc: Range;
  readonly locations: readonly { readonly start: Partial<Position> }[];
}

export interface CoverageInput {
  /** By path below the root. */
  readonly files: Readonly<Record<string, MeasuredFile>>;
  /** Reason → path → excerpts that no test need run. Where lines break in them does not count. */
  readonly decided: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

interface MeasuredFile {
  readonly text: string;
  /** A line counts as a whole, by what runs most of it, branches not at all. */
  readonly byLine?: boolean;
  readonly coverage: FileCoverage;
  readonly threads?: readonly ThreadCoverage[];
}

export interface CoverageReport {
  /** Statements and branches, or lines. */
  readonly parts: number;
  readonly covered: number;
  /** What is not covered, and nobody decided so; and decisions about what is not there, or not only there. */
  readonly problems: readonly string[];
}

/** How a `catch` passes on what it does not expect: nobody could make that happen but by a mistake in the program. */
const PASSED_ON =
  /^(if \(!(is\w+\(error(, "[A-Z_]+")?\)|\(error instanceof \w+\))\) |if \(errno === undefined\) )?throw error;$/;

export function judgeCoverage({ files, decided }: CoverageInput): CoverageReport {
  let total = 0;
  let covered = 0;
  const problems: string[] = [];
  const excerpts = excerptsByPath(decided);
  for (const [path, { coverage, text, byLine = false, threads = [] }] of Object.entries(files)) {
    const written = new Written(text);
    const known = findDecided(excerpts.get(path) ?? [], written.joined);
    problems.push(...known.problems.map((problem) => `${path} ${problem}`));
    const all = partsOf(coverage, (place) => countInThreads(threads, written.sourceOffsetOf(place)));
    const parts = byLine ? linesOf(all) : all;
    const missed = parts.filter(({ count }) => count <= 0);
    total += parts.length;
    covered += parts.length - missed.length;
    const undecided = missed.filter(({ start }) => !known.has(written.offsetOf(start)) && !written.isPassedOn(start));
    const lines = undecided.map(({ what, start }) => `${path}:${start.line}: ${what}${written.from(start)}`);
    problems.push(...new Set(lines));
  }
  for (const path of excerpts.keys()) if (files[path] === undefined) problems.push(`${path} is not there any longer`);
  return { parts: total, covered, problems };
}

interface Part {
  readonly start: Position;
  readonly count: number;
  readonly what: string;
  readonly isStatement: boolean;
}

function linesOf(parts: readonly Part[]): readonly Part[] {
  const lines = new Map<number, Part>();
  for (const part of parts.filter(({ isStatement }) => isStatement)) {
    const { line } = part.start;
    if ((lines.get(line)?.count ?? -1) < part.count) lines.set(line, part);
  }
  return [...lines.values()];
}

function partsOf(
  { statementMap, s, branchMap, b }: FileCoverage,
  inThreads: (place: Position) => number,
): readonly Part[] {
  const statements = Object.entries(statementMap).map(([id, { start }]) => ({
    ...{ start, what: "", isStatement: true },
    count: (s[id] ?? 0) + inThreads(start),
  }));
  const branches = Object.entries(branchMap).flatMap(([id, { type, loc, locations }]) => {
    const ways = locations.map(({ start: { line, column } }, i) => {
      const count = b[id]?.[i] ?? 0;
      if (line !== undefined && column !== undefined) {
        const start = { line, column };
        return { start, count: count + inThreads(start), what: "", isStatement: false };
      }
      const then = statements.find(({ start }) => isBehind(start, loc.start))?.start;
      const passedOver = then === undefined ? 0 : inThreads(loc.start) - inThreads(then);
      return { start: loc.start, count: count + passedOver, what: "never passed over: ", isStatement: false };
    });
    // What an `if` leads to are statements.
    return type === "if" ? ways.slice(1) : ways;
  });
  return [...statements, ...branches];
}

function isBehind(one: Position, other: Position): boolean {
  return one.line > other.line || (one.line === other.line && one.column > other.column);
}

/** How often the innermost range ran that holds the place. */
function countInThreads(threads: readonly ThreadCoverage[], offset: number): number {
  let count = 0;
  for (const { functions } of threads) {
    let innermost = Number.POSITIVE_INFINITY;
    let ran = 0;
    for (const { startOffset, endOffset, count: times } of functions.flatMap(({ ranges }) => ranges)) {
      if (startOffset > offset || offset >= endOffset || endOffset - startOffset > innermost) continue;
      innermost = endOffset - startOffset;
      ran = times;
    }
    count += ran;
  }
  return count;
}

/** A file's text with its lines joined, without what indents them. */
class Written {
  readonly joined: string;
  readonly #lines: readonly WrittenLine[];

  constructor(text: string) {
    const lines = text.split("\n");
    let start = 0;
    let sourceStart = 0;
    this.#lines = lines.map((line) => {
      const { length } = line.trim();
      const written = { start, sourceStart, indent: line.length - line.trimStart().length, length };
      start += length + 1;
      sourceStart += line.length + 1;
      return written;
    });
    this.joined = lines.map((line) => line.trim()).join(" ");
  }

  offsetOf({ line, column }: Position): number {
    const { start, indent, length } = this.#line(line);
    return start + Math.min(Math.max(column - indent, 0), length);
  }

  /** In the text as it is. */
  sourceOffsetOf({ line, column }: Position): number {
    return this.#line(line).sourceStart + column;
  }

  /** The rest of the line. */
  from(position: Position): string {
    const { start, length } = this.#line(position.line);
    return this.joined.slice(this.offsetOf(position), start + length).trim();
  }

  isPassedOn(position: Position): boolean {
    const { start, length } = this.#line(position.line);
    return this.from(position) === "throw error;" && PASSED_ON.test(this.joined.slice(start, start + length));
  }

  #line(number: number): WrittenLine {
    const line = this.#lines[number - 1];
    if (line === undefined)
      throw new RangeError(`there is no line ${number}: was something changed since it was measured?`);
    return line;
  }
}

interface WrittenLine {
  readonly start: number;
  readonly sourceStart: number;
  readonly indent: number;
  readonly length: number;
}

function excerptsByPath(decided: CoverageInput["decided"]): ReadonlyMap<string, readonly string[]> {
  const excerpts = new Map<string, string[]>();
  for (const paths of Object.values(decided))
    for (const [path, added] of Object.entries(paths)) excerpts.set(path, [...(excerpts.get(path) ?? []), ...added]);
  return excerpts;
}

/** Whether something begins in an excerpt, and what is wrong with the excerpts. */
function findDecided(excerpts: readonly string[], text: string) {
  const places: (readonly [number, number])[] = [];
  const problems: string[] = [];
  for (const excerpt of excerpts) {
    const at = text.indexOf(excerpt);
    if (at < 0) problems.push(`has this no longer: ${excerpt}`);
    else if (text.includes(excerpt, at + 1)) problems.push(`has this more than once: ${excerpt}`);
    else places.push([at, at + excerpt.length]);
  }
  return { problems, has: (offset: number) => places.some(([start, end]) => start <= offset && offset < end) };
}
