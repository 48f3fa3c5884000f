/** The column names in `COPY schema.table (a, "b, c") FROM stdin;`. */
export function columnsOf(copyStatement: string): readonly string[] {
  const tokens: readonly string[] = copyStatement.match(/"(?:[^"]|"")*"|[(),]|[^"(),\s]+/g) ?? [];
  const open = tokens.indexOf("(");
  const close = tokens.indexOf(")", open);
  if (open === -1 || close === -1) return [];
  return tokens
    .slice(open + 1, close)
    .filter((token) => token !== ",")
    .map((token) => (token.startsWith('"') ? token.slice(1, -1).replaceAll('""', '"') : token));
}
