import { BackupctlError } from "../errors.ts";

export type ConfigPath = readonly (string | number)[];

/** One thing that is wrong with a configuration. */
export interface Problem {
  readonly path: ConfigPath;
  readonly message: string;
  readonly line?: number;
  readonly column?: number;
  readonly suggestion?: string;
  /** A rule between sound options: it keeps nobody from his backups. */
  readonly isRule?: boolean;
}

function dotted(path: ConfigPath): string {
  return path.join(".");
}

/** `line 4, column 3: sources.app.pth: unknown key; did you mean "path"?` */
export function describeProblem(problem: Problem): string {
  const place = problem.line === undefined ? "" : `line ${problem.line}, column ${problem.column ?? 1}: `;
  const name = problem.path.length === 0 ? "" : `${dotted(problem.path)}: `;
  const suggestion = problem.suggestion === undefined ? "" : `; did you mean "${problem.suggestion}"?`;
  return `${place}${name}${problem.message}${suggestion}`;
}

/** All problems in one error, in the order of the file. */
export function invalidConfig(origin: string, problems: readonly Problem[]): BackupctlError {
  const sorted = problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0) || (a.column ?? 0) - (b.column ?? 0));
  const lines = sorted.map((problem) => describeProblem(problem));
  const [only = "", ...more] = lines;
  const message = more.length === 0 ? `${origin}: ${only}` : `${origin} has ${lines.length} problems`;
  return new BackupctlError("CONFIG_INVALID", message, {
    lines: more.length === 0 ? [] : lines,
    hint: "Correct it and check with `backupctl config validate`; docs/configuration.md lists every option.",
    data: {
      origin,
      problems: sorted.map((problem) => ({
        path: dotted(problem.path),
        message: problem.message,
        line: problem.line ?? null,
        column: problem.column ?? null,
        suggestion: problem.suggestion ?? null,
      })),
    },
  });
}
