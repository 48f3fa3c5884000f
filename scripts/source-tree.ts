import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { parseAst } from "vitest/node";

/** An ESTree node; its fields are read by name, because the tree is walked without knowing all its kinds. */
export interface AstNode {
  readonly type: string;
  readonly start: number;
  readonly [field: string]: unknown;
}

export interface SourceFile {
  /** Relative to the root that was read, with forward slashes. */
  readonly path: string;
  readonly text: string;
  readonly program: AstNode;
}

export interface ImportedModule {
  readonly specifier: string;
  /** The imported names; `"*"` where the whole module is taken (namespace, dynamic import, `export *`). */
  readonly names: readonly string[];
  readonly line: number;
}

export function parseSource(path: string, text: string): SourceFile {
  return { path, text, program: parseAst(text, { lang: "ts" }, path) as unknown as AstNode };
}

/** Every .ts file below `root`/`folder`; nothing when the folder does not exist. */
export function readSources(root: string, folder: string): SourceFile[] {
  let names: string[];
  try {
    names = readdirSync(join(root, folder), { recursive: true, encoding: "utf8" });
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return [];
    throw error;
  }
  return names
    .filter((name) => name.endsWith(".ts") && !name.includes("node_modules"))
    .map((name) => posix.join(folder, name.replaceAll("\\", "/")))
    .sort()
    .map((path) => parseSource(path, readFileSync(join(root, path), "utf8")));
}

export function isNode(value: unknown): value is AstNode {
  return typeof value === "object" && value !== null && typeof (value as { type?: unknown }).type === "string";
}

export function walk(node: AstNode, visit: (node: AstNode) => void): void {
  visit(node);
  for (const value of Object.values(node)) {
    for (const child of Array.isArray(value) ? value : [value]) {
      if (isNode(child)) walk(child, visit);
    }
  }
}

export function child(node: AstNode, field: string): AstNode | undefined {
  const value = node[field];
  return isNode(value) ? value : undefined;
}

export function children(node: AstNode, field: string): AstNode[] {
  const value = node[field];
  return Array.isArray(value) ? value.filter(isNode) : [];
}

export function lineOf(file: SourceFile, node: AstNode): number {
  return file.text.slice(0, node.start).split("\n").length;
}

/** The name of an identifier, or the text of a string literal. */
export function nameOf(node: AstNode | undefined): string | undefined {
  const name = node?.type === "Literal" ? node.value : node?.name;
  return typeof name === "string" ? name : undefined;
}

function namesTaken(node: AstNode): string[] {
  if (node.type === "ImportDeclaration" || node.type === "ExportNamedDeclaration") {
    return children(node, "specifiers").map((specifier) => {
      if (specifier.type === "ImportDefaultSpecifier") return "default";
      return nameOf(child(specifier, specifier.type === "ExportSpecifier" ? "local" : "imported")) ?? "*";
    });
  }
  if (node.type === "TSImportType") {
    const name = nameOf(child(node, "qualifier"));
    return name === undefined ? ["*"] : [name];
  }
  return ["*"];
}

const importing = new Set([
  "ImportDeclaration",
  "ExportNamedDeclaration",
  "ExportAllDeclaration",
  "ImportExpression",
  "TSImportType",
]);

export function importsOf(file: SourceFile): ImportedModule[] {
  const found: ImportedModule[] = [];
  walk(file.program, (node) => {
    if (!importing.has(node.type)) return;
    const specifier = nameOf(child(node, "source"));
    if (specifier !== undefined) found.push({ specifier, names: namesTaken(node), line: lineOf(file, node) });
  });
  return found;
}

function boundNames(pattern: AstNode | undefined): string[] {
  if (pattern === undefined) return [];
  if (pattern.type === "Identifier") return [nameOf(pattern) ?? ""];
  if (pattern.type === "ObjectPattern")
    return children(pattern, "properties").flatMap((it) => boundNames(child(it, "value")));
  if (pattern.type === "ArrayPattern") return children(pattern, "elements").flatMap(boundNames);
  return boundNames(child(pattern, "left") ?? child(pattern, "argument"));
}

export function exportsOf(file: SourceFile): string[] {
  return children(file.program, "body").flatMap((node) => {
    if (node.type === "ExportDefaultDeclaration") return ["default"];
    if (node.type !== "ExportNamedDeclaration") return [];
    const declaration = child(node, "declaration");
    if (declaration?.type === "VariableDeclaration") {
      return children(declaration, "declarations").flatMap((it) => boundNames(child(it, "id")));
    }
    const declared = declaration === undefined ? undefined : nameOf(child(declaration, "id"));
    const named = children(node, "specifiers").map((it) => nameOf(child(it, "exported")));
    return [declared, ...named].filter((name) => name !== undefined);
  });
}

/** The path that a relative specifier names, or undefined for a package or a node: module. */
export function resolveRelative(from: string, specifier: string): string | undefined {
  return specifier.startsWith(".") ? posix.join(posix.dirname(from), specifier) : undefined;
}

/** "@scope/name/sub" → "@scope/name"; undefined for relative and node: specifiers. */
export function packageOf(specifier: string): string | undefined {
  if (specifier.startsWith(".") || specifier.startsWith("node:")) return undefined;
  return specifier
    .split("/")
    .slice(0, specifier.startsWith("@") ? 2 : 1)
    .join("/");
}
