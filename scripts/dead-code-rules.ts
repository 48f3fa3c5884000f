import { isBuiltin } from "node:module";
import {
  exportsOf,
  type ImportedModule,
  importsOf,
  nameOf,
  packageOf,
  resolveRelative,
  type SourceFile,
  walk,
} from "./source-tree.ts";

export interface PackageManifest {
  readonly scripts?: Readonly<Record<string, string>>;
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
}

export interface DeadCodeInput {
  /** The program. */
  readonly sources: readonly SourceFile[];
  /** Tests, scripts and tool configurations: what they alone use is dead. */
  readonly others: readonly SourceFile[];
  readonly manifest: PackageManifest;
  /** `path`, `path#export` or a package's name → why it stays. */
  readonly allowed: Readonly<Record<string, string>>;
}

const ENTRY = "src/main.ts";

/** Programs of development packages whose names differ from the package's. */
const PROGRAMS: Readonly<Record<string, string>> = { typescript: "tsc", "@biomejs/biome": "biome" };

interface Usage {
  readonly names: Set<string>;
  file: boolean;
}

function identifiersOf(file: SourceFile): Set<string> {
  const names = new Set<string>();
  walk(file.program, (node) => {
    const name = node.type === "Identifier" ? nameOf(node) : undefined;
    if (name !== undefined) names.add(name);
  });
  return names;
}

/** Files that a string names by relative path, as in `new Worker(new URL("./worker.ts", import.meta.url))`. */
function filesInStrings(file: SourceFile): string[] {
  const found: string[] = [];
  walk(file.program, (node) => {
    const text = node.type === "Literal" ? nameOf(node) : undefined;
    const target = text === undefined ? undefined : resolveRelative(file.path, text);
    if (target !== undefined) found.push(target.replace(/\.js$/, ".ts"));
  });
  return found;
}

/** What the files use of each other. A module taken whole counts as used by every identifier of the file that takes it. */
function usageBy(files: readonly SourceFile[]): Map<string, Usage> {
  const usage = new Map<string, Usage>();
  const of = (path: string): Usage => {
    const known = usage.get(path) ?? { names: new Set(), file: false };
    usage.set(path, known);
    return known;
  };
  const take = (file: SourceFile, imported: ImportedModule) => {
    const target = resolveRelative(file.path, imported.specifier);
    if (target === undefined || target === file.path) return;
    const { names } = of(target);
    const taken = imported.names.includes("*") ? identifiersOf(file) : imported.names;
    for (const name of taken) names.add(name);
    of(target).file = true;
  };
  for (const file of files) {
    for (const imported of importsOf(file)) take(file, imported);
    for (const target of filesInStrings(file)) of(target).file = true;
  }
  return usage;
}

/** A type that an exported function takes or gives is exported with it, so that a caller can name it. */
function isPartOfSignature(file: SourceFile, name: string): boolean {
  let uses = 0;
  let isType = false;
  walk(file.program, (node) => {
    if (node.type === "Identifier" && nameOf(node) === name) uses++;
    if (node.type === "TSInterfaceDeclaration" || node.type === "TSTypeAliasDeclaration") {
      const { id } = node as { readonly id?: { readonly name?: unknown } };
      if (id?.name === name) isType = true;
    }
  });
  return isType && uses > 1;
}

function deadExports({ sources, others }: DeadCodeInput): Map<string, string> {
  const used = usageBy(sources);
  const usedByOthers = usageBy(others);
  const found = new Map<string, string>();
  for (const file of sources) {
    const { path } = file;
    if (path === ENTRY || path.endsWith(".d.ts")) continue;
    if (used.get(path)?.file !== true) {
      const tested = usedByOthers.get(path)?.file === true;
      found.set(path, `${path}: the program does not use this file${tested ? ", only tests or scripts do" : ""}`);
      continue;
    }
    for (const name of exportsOf(file)) {
      if (used.get(path)?.names.has(name) || isPartOfSignature(file, name)) continue;
      const tested = usedByOthers.get(path)?.names.has(name) === true;
      found.set(
        `${path}#${name}`,
        `${path}: no other file of src uses the export ${name}${tested ? ", only tests or scripts do" : ""}`,
      );
    }
  }
  return found;
}

function packagesOf(files: readonly SourceFile[]): Set<string> {
  return new Set(files.flatMap((file) => importsOf(file).map((it) => packageOf(it.specifier) ?? "")));
}

function typedPackage(name: string): string | undefined {
  return name.startsWith("@types/") ? name.slice("@types/".length) : undefined;
}

function deadPackages({ sources, others, manifest }: DeadCodeInput): Map<string, string> {
  const bySources = packagesOf(sources);
  const byOthers = packagesOf(others);
  const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const development = manifest.devDependencies ?? {};
  const words = new Set(Object.values(manifest.scripts ?? {}).flatMap((script) => script.split(/\s+/)));
  const found = new Map<string, string>();

  for (const name of Object.keys(runtime)) {
    if (!bySources.has(name)) found.set(name, `package.json: src does not import the dependency ${name}`);
  }
  for (const name of Object.keys(development)) {
    const typed = typedPackage(name);
    const used = byOthers.has(name) || words.has(PROGRAMS[name] ?? name);
    const describes = typed !== undefined && (typed === "node" || typed in runtime || byOthers.has(typed));
    if (!used && !describes) found.set(name, `package.json: nothing uses the development dependency ${name}`);
  }
  return found;
}

function isMissing(name: string | undefined, listed: object): boolean {
  return name !== undefined && !isBuiltin(name) && !(name in listed);
}

function missingPackages({ sources, others, manifest }: DeadCodeInput): string[] {
  const runtime = { ...manifest.dependencies, ...manifest.optionalDependencies };
  const all = { ...runtime, ...manifest.devDependencies };
  const missing = (files: readonly SourceFile[], listed: object) =>
    files.flatMap((file) =>
      importsOf(file)
        .filter(({ specifier }) => isMissing(packageOf(specifier), listed))
        .map(({ specifier, line }) => `${file.path}:${line}: package.json does not list ${specifier}`),
    );
  return [...missing(sources, runtime), ...missing(others, all)];
}

/** Exports, files and packages that nothing needs, and entries of the allow list that allow nothing; a line each. */
export function deadCode(input: DeadCodeInput): string[] {
  const dead = new Map([...deadExports(input), ...deadPackages(input)]);
  const problems = [...dead].filter(([key]) => !(key in input.allowed)).map(([, problem]) => problem);
  const stale = Object.keys(input.allowed)
    .filter((key) => !dead.has(key))
    .map((key) => `scripts/dead-code-allow.json: "${key}" is used or gone, delete the entry`);
  return [...problems, ...missingPackages(input), ...stale];
}
