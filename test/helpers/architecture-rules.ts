import { isBuiltin } from "node:module";
import { basename } from "node:path";
import {
  type AstNode,
  child,
  children,
  type ImportedModule,
  importsOf,
  lineOf,
  nameOf,
  packageOf,
  resolveRelative,
  type SourceFile,
  walk,
} from "../../scripts/source-tree.ts";

const MAX_LINES = 400;

/** Source files that may exceed the line ceiling, each with its reason. */
const LONG_FILES: Readonly<Record<string, string>> = {};

const FAMILIES = ["engines", "storage", "keys", "notify", "catalog", "jobs"];
const PORTS = [
  "engines/engine.ts",
  "storage/storage.ts",
  "keys/key-provider.ts",
  "notify/notifier.ts",
  "catalog/catalog.ts",
  "jobs/job.ts",
];
/** Decorators of a port: they know no adapter, and what opens one may use them. */
const DECORATORS = ["storage/resilient/open.ts"];
/** What the adapters of a family share; it knows none of them. */
const SHARED_FOLDERS = ["storage/network/"];
const REGISTRIES = ["engines", "storage", "keys", "notify", "jobs"].map((family) => `${family}/registry.ts`);

/** What a layer may import besides itself. A name that ends in .ts is that file, any other a whole folder. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "errors.ts": [],
  domain: ["errors.ts"],
  platform: ["errors.ts"],
  format: ["domain", "platform", "errors.ts"],
  engines: ["domain", "platform", "errors.ts"],
  storage: ["domain", "platform", "errors.ts"],
  keys: ["domain", "platform", "errors.ts"],
  notify: ["domain", "platform", "errors.ts"],
  catalog: ["domain", "platform", "errors.ts"],
  jobs: ["domain", "operations/operations.ts", "operations/exit-status.ts", "errors.ts"],
  config: ["domain", "platform", "errors.ts", ...REGISTRIES],
  operations: ["domain", "format", "platform", "errors.ts", "config/config.ts", ...PORTS, ...DECORATORS],
  cli: ["operations", "config", "domain", "errors.ts"],
  server: ["operations", "config", "domain", "errors.ts"],
  "main.ts": [...["domain", "platform", "format", "config", "operations", "cli", "server", "errors.ts"], ...FAMILIES],
};

const FILE_SYSTEM_LAYERS = ["platform", "format", "engines", "storage", "keys", "catalog", "config"];

/** Modules that only one place may import. A name that ends in / is a folder. */
const MODULE_HOMES: Readonly<Record<string, readonly string[]>> = {
  "node:child_process": ["platform/"],
  execa: ["platform/"],
  "fs-native-extensions": ["platform/"],
  "better-sqlite3": ["catalog/", "engines/sqlite/"],
  pg: ["engines/postgres/"],
  commander: ["cli/"],
  ora: ["cli/"],
  chalk: ["cli/"],
  "cli-table3": ["cli/"],
  "@inquirer/prompts": ["cli/"],
};

const BANNED_NAMES = new Set(["utils.ts", "util.ts", "helpers.ts", "helper.ts", "common.ts", "misc.ts"]);

function layerOf(path: string): string {
  return path.split("/")[0] ?? path;
}

function familyFolder(path: string): string | undefined {
  const parts = path.split("/");
  return parts.length > 2 ? parts[1] : undefined;
}

function importInsideFamily(from: string, to: string): string | undefined {
  const fromFolder = familyFolder(from);
  const toFolder = familyFolder(to);
  if (REGISTRIES.includes(to)) return "a registry is imported by main.ts and config/ only";
  if (REGISTRIES.includes(from) || toFolder === undefined || toFolder === fromFolder) return undefined;
  const isShared = SHARED_FOLDERS.some((folder) => to.startsWith(folder));
  if (isShared && fromFolder !== undefined) return undefined;
  return fromFolder === undefined
    ? "only the registry imports an adapter's folder"
    : `adapters never import each other (${fromFolder}, ${toFolder})`;
}

function forbiddenImport(from: string, to: string): string | undefined {
  const layer = layerOf(from);
  const target = layerOf(to);
  if (to.startsWith("..")) return "it is outside src/";
  if (to === "main.ts") return "nothing imports main.ts";
  if (layer === target) return FAMILIES.includes(layer) ? importInsideFamily(from, to) : undefined;
  const allowed = MAY_IMPORT[layer] ?? [];
  if (allowed.includes(target) || allowed.includes(to)) return undefined;
  return `${layer} may import ${allowed.join(", ") || "nothing"}`;
}

function forbiddenModule(from: string, specifier: string): string | undefined {
  const name = isBuiltin(specifier) ? `node:${specifier.replace(/^node:/, "")}` : (packageOf(specifier) ?? specifier);
  const layer = layerOf(from);
  if (/^node:fs(\/|$)/.test(name) && !FILE_SYSTEM_LAYERS.includes(layer)) {
    return `the file system is for ${FILE_SYSTEM_LAYERS.join(", ")}`;
  }
  const homes = MODULE_HOMES[name];
  if (homes === undefined || homes.some((home) => from.startsWith(home))) return undefined;
  return `it is for ${homes.join(", ")}`;
}

function importProblem(path: string, imported: ImportedModule): string | undefined {
  const target = resolveRelative(path, imported.specifier);
  if (target === undefined) return forbiddenModule(path, imported.specifier);
  return target.endsWith(".ts") ? forbiddenImport(path, target) : "relative imports end in .ts";
}

function isMember(node: AstNode | undefined, object: string, property?: string): boolean {
  if (node?.type !== "MemberExpression") return false;
  const name = nameOf(child(node, "property"));
  return nameOf(child(node, "object")) === object && (property === undefined || name === property);
}

function isProperty(node: AstNode, key: string): boolean {
  return node.type === "Property" && nameOf(child(node, "key")) === key && child(node, "value")?.value !== false;
}

function readsClock(node: AstNode): boolean {
  const ofDate = node.type === "NewExpression" && nameOf(child(node, "callee")) === "Date";
  return isMember(node, "Date", "now") || (ofDate && children(node, "arguments").length === 0);
}

function removesRecursively(node: AstNode): boolean {
  if (node.type !== "CallExpression") return false;
  const callee = child(node, "callee");
  const name = nameOf(callee?.type === "MemberExpression" ? child(callee, "property") : callee);
  if (name !== "rm" && name !== "rmSync") return false;
  return children(node, "arguments").some((argument) =>
    children(argument, "properties").some((property) => isProperty(property, "recursive")),
  );
}

interface Ban {
  readonly what: string;
  readonly homes: readonly string[];
  readonly found: (node: AstNode) => boolean;
}

const BANS: readonly Ban[] = [
  { what: "the current time", homes: ["platform/clock.ts"], found: readsClock },
  { what: "Math.random", homes: [], found: (node) => isMember(node, "Math", "random") },
  { what: "shell: true", homes: [], found: (node) => isProperty(node, "shell") },
  { what: "console", homes: [], found: (node) => isMember(node, "console") },
  { what: "process.exit", homes: ["main.ts"], found: (node) => isMember(node, "process", "exit") },
  { what: "recursive rm", homes: ["platform/"], found: removesRecursively },
  { what: "any", homes: [], found: (node) => node.type === "TSAnyKeyword" },
];

function nameProblem(path: string): string | undefined {
  const name = basename(path);
  if (BANNED_NAMES.has(name) || name.includes("manager")) return "a file is named after what it does";
  return layerOf(path) in MAY_IMPORT ? undefined : "it is in no layer";
}

/** Each violation in one line, `path:line: what is wrong`. The file's path is relative to src/. */
export function violationsOf(file: SourceFile): string[] {
  const { path } = file;
  const found: string[] = [];
  const named = nameProblem(path);
  if (named !== undefined) found.push(`${path}: ${named}`);

  const lines = file.text.split("\n").length - 1;
  if (lines > MAX_LINES && !(path in LONG_FILES)) found.push(`${path}: ${lines} lines, the ceiling is ${MAX_LINES}`);

  for (const imported of importsOf(file)) {
    const problem = importProblem(path, imported);
    if (problem !== undefined) found.push(`${path}:${imported.line}: imports ${imported.specifier}: ${problem}`);
  }

  walk(file.program, (node) => {
    for (const ban of BANS) {
      if (ban.homes.some((home) => path.startsWith(home)) || !ban.found(node)) continue;
      const where = ban.homes.length > 0 ? `is for ${ban.homes.join(", ")}` : "is banned";
      found.push(`${path}:${lineOf(file, node)}: ${ban.what} ${where}`);
    }
  });
  return found;
}
