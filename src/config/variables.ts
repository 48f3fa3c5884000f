/** `${NAME}` and `${NAME:-default}` in configuration values; `$${` stands for a literal `${`. */
const REFERENCE = /\$\$\{|\$\{([^}]*)\}/g;
const NAME_AND_DEFAULT = /^([A-Za-z_][A-Za-z0-9_]*)(?::-([\s\S]*))?$/;

interface Expansion {
  readonly text: string;
  /** True when the environment, not only an escape, had a say. */
  readonly expanded: boolean;
  readonly problems: readonly string[];
}

/** Like a shell's `:-`, a default also stands in for a variable that is set but empty. */
export function expandVariables(text: string, env: Readonly<Record<string, string | undefined>>): Expansion {
  const problems: string[] = [];
  let expanded = false;
  const result = text.replace(REFERENCE, (whole, reference: string | undefined) => {
    if (reference === undefined) return "${";
    const match = NAME_AND_DEFAULT.exec(reference);
    const name = match?.[1];
    if (name === undefined) {
      problems.push(`"${whole}" is not a variable; write \${NAME} or \${NAME:-default}, and $\${ for a plain \${`);
      return whole;
    }
    expanded = true;
    const value = env[name];
    const fallback = match?.[2];
    if (fallback !== undefined) return value === undefined || value === "" ? fallback : value;
    if (value === undefined) problems.push(`the environment variable ${name} is not set, and there is no default`);
    return value ?? "";
  });
  return { text: result, expanded, problems };
}
