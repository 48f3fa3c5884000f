/** Command lines in documents, found as a reader finds them. */

export interface CodeBlock {
  readonly language: string;
  readonly text: string;
}

export function codeBlocks(markdown: string): readonly CodeBlock[] {
  return [...markdown.matchAll(/^```(\w*)\n([\s\S]*?)^```$/gm)].map(([, language = "", text = ""]) => ({
    language,
    text,
  }));
}

/** Lines of code blocks, and code in sentences and tables, that begin with `backupctl `; comments are left out. */
export function backupctlCommands(markdown: string): readonly string[] {
  const lines = codeBlocks(markdown)
    .filter(({ language }) => language === "sh" || language === "")
    .flatMap(({ text }) => text.replaceAll("\\\n", " ").split("\n"));
  const prose = markdown.replace(/^```[\s\S]*?^```$/gm, "");
  const spans = [...prose.matchAll(/`([^`\n]+)`/g)].map(([, code = ""]) => code);
  return [...lines, ...spans].map(withoutComment).filter((line) => /^backupctl [a-z-]/.test(line));
}

function withoutComment(line: string): string {
  return line
    .replace(/^\s*\$ /, "")
    .replace(/\s+#\s.*$/, "")
    .trim();
}

/** The part of a document under one of its `##` headings. */
export function sectionOf(markdown: string, heading: string): string {
  const start = markdown.indexOf(`\n## ${heading}\n`);
  if (start < 0) throw new Error(`there is no section "${heading}"`);
  const rest = markdown.slice(start + 1);
  const end = rest.indexOf("\n## ");
  return end < 0 ? rest : rest.slice(0, end);
}
