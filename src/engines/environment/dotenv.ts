/**
 * `NAME='value'` lines in the order of their names, so that the same variables give the same bytes. A shell reads them back
 * exactly (`set -a; . ./file`); so do dotenv readers and systemd, but for values that contain a single quote.
 */
export function formatDotenv(variables: Readonly<Record<string, string>>): string {
  return Object.keys(variables)
    .toSorted()
    .map((name) => `${name}=${quoted(variables[name] ?? "")}\n`)
    .join("");
}

function quoted(value: string): string {
  return `'${value.replaceAll("'", String.raw`'\''`)}'`;
}

/** The variables whose names one of the patterns fits; `*` stands for any text, `?` for one character. */
export function chosenVariables(
  env: Readonly<Record<string, string | undefined>>,
  patterns: readonly string[],
): Readonly<Record<string, string>> {
  const expressions = patterns.map(
    (pattern) => new RegExp(`^${pattern.replaceAll("*", ".*").replaceAll("?", ".")}$`, "s"),
  );
  const chosen: Record<string, string> = {};
  for (const [name, value] of Object.entries(env)) {
    // A name that a shell can't assign to could not be read back.
    const usable = value !== undefined && /^[A-Za-z_][A-Za-z0-9_]*$/.test(name);
    if (usable && expressions.some((expression) => expression.test(name))) chosen[name] = value;
  }
  return chosen;
}

/** Patterns that fit nothing: a misspelt name should not go unseen. */
export function idlePatterns(
  variables: Readonly<Record<string, string>>,
  patterns: readonly string[],
): readonly string[] {
  return patterns.filter((pattern) => Object.keys(chosenVariables(variables, [pattern])).length === 0);
}
