/** A row of the table "Allowed skips" of docs/testing.md. */
export interface SkipRule {
  /** The beginning of a test's name, `file > suite > test`. */
  readonly prefix: string;
  readonly reason: string;
}

const HEADING = "## Allowed skips";

export function parseAllowedSkips(markdown: string): SkipRule[] {
  const start = markdown.indexOf(`${HEADING}\n`);
  if (start < 0) throw new Error(`docs/testing.md has no section "${HEADING}"`);
  const section = markdown.slice(start + HEADING.length).split(/\n## /)[0] ?? "";
  const rules: SkipRule[] = [];
  for (const line of section.split("\n")) {
    const [, prefix, reason] = /^\|\s*`([^`]+)`\s*\|\s*(.*?)\s*\|\s*$/.exec(line) ?? [];
    if (prefix === undefined) continue;
    if (reason === undefined || reason === "")
      throw new Error(`docs/testing.md allows to skip "${prefix}" without a reason`);
    rules.push({ prefix, reason });
  }
  return rules;
}

export function skipRuleFor(testName: string, rules: readonly SkipRule[]): SkipRule | undefined {
  return rules.find((rule) => testName.startsWith(rule.prefix));
}
