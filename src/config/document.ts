import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isPair,
  isScalar,
  isSeq,
  LineCounter,
  parseDocument,
  visit,
} from "yaml";
import { messageOf } from "../errors.ts";
import type { ConfigPath, Problem } from "./problems.ts";
import { expandVariables } from "./variables.ts";

/** A configuration before it is checked: plain values, and where each of them was written. */
export interface ConfigDocument {
  readonly values: unknown;
  /** The text is not YAML at all: nothing else can be said about it. */
  readonly broken: boolean;
  readonly problems: readonly Problem[];
  /** Line and column of the key, or of the value; of the nearest parent where the path leads nowhere. */
  position(path: ConfigPath, of: "key" | "value"): Position;
  /** Whether a variable of the environment is part of this value, which is text then, whatever the schema wants. */
  isExpanded(path: ConfigPath): boolean;
}

interface Position {
  readonly line?: number;
  readonly column?: number;
}

type Environment = Readonly<Record<string, string | undefined>>;

/** Parses YAML. Variables are expanded in parsed values, so no value of the environment can change the structure. */
export function parseYaml(text: string, env: Environment): ConfigDocument {
  const lines = new LineCounter();
  // prettyErrors would quote the source, and with it secrets.
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false, merge: true });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(1, line), column: Math.max(1, col) };
  };
  // A tag such as `!include` is a warning to the parser, which then takes the text as it stands.
  const syntax = [...document.errors, ...document.warnings].map((error) => ({
    duplicate: error.code === "DUPLICATE_KEY",
    problem: syntaxProblem(error, document, at(error.pos[0])),
  }));
  const fatal = syntax.filter((one) => !one.duplicate);
  // What follows the first syntax error is mostly its echo.
  if (fatal[0] !== undefined) return unreadable(fatal[0].problem);

  const expanded = new Set<unknown>();
  const problems = [...syntax.map((one) => one.problem), ...expandScalars(document, env, expanded, at)];
  let values: unknown;
  try {
    values = document.toJS();
  } catch (error) {
    return unreadable({ path: [], message: messageOf(error) });
  }
  if (holdsItself(values)) return unreadable({ path: [], message: "an alias stands inside what it repeats" });
  return {
    values,
    broken: false,
    problems,
    position: (path, of) => {
      const offset = offsetOf(document, path, of);
      return offset === undefined ? {} : at(offset);
    },
    isExpanded: (path) => expanded.has(follow(document, path).value),
  };
}

/** What is parsed by now has no end: whoever walks down it never comes back. */
function holdsItself(value: unknown, above: readonly unknown[] = []): boolean {
  if (typeof value !== "object" || value === null) return false;
  return above.includes(value) || Object.values(value).some((member) => holdsItself(member, [...above, value]));
}

/** A configuration that has no lines: the environment. */
export function withoutPositions(values: unknown, problems: readonly Problem[]): ConfigDocument {
  return { values, broken: false, problems, position: () => ({}), isExpanded: () => true };
}

function unreadable(problem: Problem): ConfigDocument {
  return { values: undefined, broken: true, problems: [problem], position: () => ({}), isExpanded: () => false };
}

function syntaxProblem(
  error: { readonly code: string; readonly message: string; readonly pos: readonly [number, number] },
  document: Document,
  position: Position,
): Problem {
  if (error.code === "DUPLICATE_KEY") {
    return { path: pathAt(document, error.pos[0]), message: "is given twice", ...position };
  }
  if (error.code === "MULTIPLE_DOCS") {
    return { path: [], message: "a second document begins here; the configuration is one", ...position };
  }
  // The part in quotes is source text, which may be a secret.
  const message = error.message.replace(/:? ".*$/s, "");
  return { path: [], message: `not valid YAML: ${message.charAt(0).toLowerCase()}${message.slice(1)}`, ...position };
}

function expandScalars(
  document: Document,
  env: Environment,
  expanded: Set<unknown>,
  at: (offset: number) => Position,
): readonly Problem[] {
  const problems: Problem[] = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      // Objects take this name in silence, and lose what is below it.
      if (key === "key" && node.value === "__proto__") {
        problems.push({
          path: pathOf(ancestors, key),
          message: "is not a name",
          ...(node.range ? at(node.range[0]) : {}),
        });
      }
      if (key === "key" || typeof node.value !== "string") return;
      const expansion = expandVariables(node.value, env);
      node.value = expansion.text;
      if (expansion.expanded) expanded.add(node);
      for (const message of expansion.problems) {
        problems.push({ path: pathOf(ancestors, key), message, ...(node.range ? at(node.range[0]) : {}) });
      }
    },
  });
  return problems;
}

/** The path of a visited node, from the nodes above it. */
function pathOf(ancestors: readonly unknown[], key: unknown): ConfigPath {
  const path: (string | number)[] = [];
  for (const [index, ancestor] of ancestors.entries()) {
    if (isPair(ancestor) && isScalar(ancestor.key)) path.push(String(ancestor.key.value));
    if (!isSeq(ancestor)) continue;
    const child = ancestors[index + 1];
    path.push(child === undefined ? Number(key) : ancestor.items.indexOf(child));
  }
  return path;
}

/** The path of the key that is written at this offset. */
function pathAt(document: Document, offset: number): ConfigPath {
  let found: ConfigPath = [];
  visit(document, {
    Scalar(key, node, ancestors) {
      if (key === "key" && node.range?.[0] === offset) {
        found = pathOf(ancestors, key);
        return visit.BREAK;
      }
      return undefined;
    },
  });
  return found;
}

/** Walks down as far as the document goes; aliases are followed. */
function follow(document: Document, path: ConfigPath): { readonly keys: readonly unknown[]; readonly value: unknown } {
  const keys: unknown[] = [];
  let value: unknown = document.contents;
  for (const part of path) {
    const node = isAlias(value) ? value.resolve(document) : value;
    if (isMap(node)) {
      const pair = node.items.find((item) => isScalar(item.key) && String(item.key.value) === String(part));
      if (pair === undefined) return { keys, value: undefined };
      keys.push(pair.key);
      value = pair.value;
    } else if (isSeq(node)) {
      value = node.items[Number(part)];
      keys.push(value);
    } else {
      return { keys, value: undefined };
    }
  }
  return { keys, value: isAlias(value) ? value.resolve(document) : value };
}

function offsetOf(document: Document, path: ConfigPath, of: "key" | "value"): number | undefined {
  const { keys, value } = follow(document, path);
  const key = keys.at(-1);
  const node = of === "value" && isNode(value) && isScalar(value) ? value : key;
  return isNode(node) ? (node.range?.[0] ?? undefined) : undefined;
}
