/** What vitest writes of one file, in the form of istanbul, as far as it is needed. */
export interface FileCoverage {
  readonly statementMap: Readonly<Record<string, { readonly start: { readonly line: number } }>>;
  /** How often each statement ran. */
  readonly s: Readonly<Record<string, number>>;
}

export interface CoverageInput {
  /** By path below the root. */
  readonly files: Readonly<Record<string, { readonly coverage: FileCoverage; readonly text: string }>>;
  /** Path → reason → the lines that no test runs in its own process, as they are written. */
  readonly decided: Readonly<Record<string, Readonly<Record<string, readonly string[]>>>>;
}

export interface CoverageReport {
  readonly lines: number;
  readonly covered: number;
  /** Lines that are not covered, and nobody decided so; and decisions about lines that are no longer there. */
  readonly problems: readonly string[];
}

/** A failure that nobody expects goes on as it is. */
const RETHROW = /^(if \(.*\) )?throw (error|reason|failure);$/;

export function judgeCoverage({ files, decided }: CoverageInput): CoverageReport {
  let lines = 0;
  let covered = 0;
  const problems: string[] = [];
  for (const [path, { coverage, text }] of Object.entries(files)) {
    const written = text.split("\n").map((line) => line.trim());
    const known = new Set(Object.values(decided[path] ?? {}).flat());
    for (const [line, count] of countsOf(coverage)) {
      lines++;
      if (count > 0) covered++;
      const content = written[line - 1] ?? "";
      if (count === 0 && !known.has(content) && !RETHROW.test(content)) problems.push(`${path}:${line}: ${content}`);
    }
    for (const line of known)
      if (!written.includes(line)) problems.push(`${path} has no such line any longer: ${line}`);
  }
  for (const path of Object.keys(decided))
    if (files[path] === undefined) problems.push(`${path} is not there any longer`);
  return { lines, covered, problems };
}

/** By line: how often the statement ran that ran most of those that begin there. */
function countsOf({ statementMap, s }: FileCoverage): ReadonlyMap<number, number> {
  const counts = new Map<number, number>();
  for (const [id, { start }] of Object.entries(statementMap))
    counts.set(start.line, Math.max(counts.get(start.line) ?? 0, s[id] ?? 0));
  return counts;
}
