const TOKEN = /--[^\n]*|'(?:[^']|'')*'|"(?:[^"]|"")*"|;|[^-'";Ee]+|[Ee]'(?:[^'\\]|''|\\.)*'|[-Ee]/gs;

/** The statements of a script as pg_dumpall writes it, without comments and psql's own commands (`\restrict`). */
export function statementsOf(sql: string): readonly string[] {
  const statements: string[] = [];
  let statement = "";
  for (const [token] of sql.replace(/^\\(?:un)?restrict .*$/gm, "").matchAll(TOKEN)) {
    if (token.startsWith("--")) continue;
    if (token !== ";") {
      statement += token;
      continue;
    }
    if (statement.trim() !== "") statements.push(statement.trim());
    statement = "";
  }
  return statements;
}
