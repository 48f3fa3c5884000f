/** What vitest writes of one file, in the form of istanbul, as far as it is needed. */
export interface FileCoverage {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  /** How often each statement ran. */
  readonly s: Readonly<Record<string, number>>;
}

export interface CoverageInput {
  /** By path below the root. */
  readonly files: Readonly<Record<string, { readonly coverage: FileCoverage; readonly text: string }>>;
  /** Reason → path → excerpts that no test need run in its own process. Where lines break in them does not count. */
  readonly decided: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export interface CoverageReport {
  readonly lines: number;
  readonly covered: number;
  /** Lines that are not covered, and nobody decided so; and decisions about what is not there, or not only there. */
  readonly problems: readonly string[];
}

/** A failure that nobody expects goes on as it is. */
const RETHROW = /^(if \(.*\) )?throw (error|reason|failure);$/;

export function judgeCoverage({ files, decided }: CoverageInput): CoverageReport {
  let lines = 0;
  let covered = 0;
  const problems: string[] = [];
  const excerpts = excerptsByPath(decided);
  for (const [path, { coverage, text }] of Object.entries(files)) {
    const written = text.split("\n").map((line) => line.trim());
    const known = findDecided(excerpts.get(path) ?? [], written);
    problems.push(...known.problems.map((problem) => `${path} ${problem}`));
    for (const [line, count] of countsOf(coverage)) {
      lines++;
      if (count > 0) covered++;
      const content = written[line - 1] ?? "";
      if (count === 0 && !known.lines.has(line) && !RETHROW.test(content)) problems.push(`${path}:${line}: ${content}`);
    }
  }
  for (const path of excerpts.keys()) if (files[path] === undefined) problems.push(`${path} is not there any longer`);
  return { lines, covered, problems };
}

function excerptsByPath(decided: CoverageInput["decided"]): ReadonlyMap<string, readonly string[]> {
  const excerpts = new Map<string, string[]>();
  for (const paths of Object.values(decided))
    for (const [path, added] of Object.entries(paths)) excerpts.set(path, [...(excerpts.get(path) ?? []), ...added]);
  return excerpts;
}

/** The lines that excerpts of one file are of, and what is wrong with the excerpts. */
function findDecided(excerpts: readonly string[], written: readonly string[]) {
  const lines = new Set<number>();
  const problems: string[] = [];
  for (const excerpt of excerpts) {
    const [place, other] = placesOf(excerpt, written);
    if (place === undefined) problems.push(`has this no longer: ${excerpt}`);
    else if (other !== undefined) problems.push(`has this more than once: ${excerpt}`);
    else for (const line of place) lines.add(line);
  }
  return { lines, problems };
}

/** For each time that an excerpt is there: the lines, from 1, that it is of. */
function placesOf(excerpt: string, written: readonly string[]): readonly (readonly number[])[] {
  const joined = written.join(" ");
  const places: number[][] = [];
  for (let at = joined.indexOf(excerpt); at >= 0; at = joined.indexOf(excerpt, at + 1)) {
    let start = 0;
    const place: number[] = [];
    for (const [i, { length }] of written.entries()) {
      if (start < at + excerpt.length && start + length > at) place.push(i + 1);
      start += length + 1;
    }
    places.push(place);
  }
  return places;
}

/** By line: how often the statement ran that ran most of those that begin there. */
function countsOf({ statementMap, s }: FileCoverage): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const [id, { start }] of Object.entries(statementMap))
    counts.set(start.line, Math.max(counts.get(start.line) ?? 0, s[id] ?? 0));
  return counts;
}
