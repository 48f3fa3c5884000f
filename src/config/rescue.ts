import type { PathBase } from "./absolute-paths.ts";
import { at, type Checked, checkDocument } from "./check.ts";
import type { ConfigDocument } from "./document.ts";
import { type ConfigPath, describeProblem, type Problem } from "./problems.ts";
import type { ConfigSchema, Frame } from "./schema.ts";
import { isLimitOption } from "./storage-options.ts";

/** Without these there is no backup to read. */
const NEEDED = ["storages", "encryption"];

const MAX_ROUNDS = 5;

/** Sections whose members stand for themselves: one wrong source does not take the others with it. */
const WITH_MEMBERS = ["sources", "targets", "schedules", "notifiers"];

/**
 * The configuration without its bad parts, each of which becomes a warning; `undefined` if a needed part is bad, or the file is
 * not YAML at all.
 */
export function bearableDocument(
  document: ConfigDocument,
  checked: Checked,
  context: { readonly schema: ConfigSchema; readonly base: PathBase },
): (Checked & { readonly frame: Frame; readonly warnings: readonly string[] }) | undefined {
  let current: Checked = checked;
  const left: Problem[] = [];
  // Rules between options are checked only once each option is sound, so leaving out one part may bring up another.
  for (let round = 0; round < MAX_ROUNDS && !document.broken; round++) {
    const rules = current.problems.filter(({ isRule }) => isRule === true);
    const wrong = current.problems.filter(({ isRule }) => isRule !== true);
    if (wrong.some((problem) => !isBearable(problem))) return undefined;
    if (wrong.length === 0 && current.frame !== undefined) {
      const warnings = [
        ...left.map((problem) => `config: ${describeProblem(problem)}; this part is ignored`),
        ...rules.map((problem) => `config: ${describeProblem(problem)}`),
      ];
      return { ...current, frame: current.frame, warnings };
    }
    const values = structuredClone(current.values);
    for (const problem of wrong) leaveOut(values, problem.path);
    left.push(...wrong);
    current = checkDocument({ ...document, problems: [] }, context.schema, context.base, values);
  }
  return undefined;
}

function isBearable({ path }: Problem): boolean {
  const [section] = path;
  return section !== undefined && (!NEEDED.includes(String(section)) || isLimit(path));
}

/** A storage can be read without its limits. */
function isLimit([section, , option, ...below]: ConfigPath): boolean {
  return section === "storages" && below.length === 0 && isLimitOption(String(option));
}

function leaveOut(values: Record<string, unknown>, path: ConfigPath): void {
  const [section, member, option] = path;
  if (section === undefined) return;
  if (isLimit(path)) {
    delete at(values, [section, member ?? ""])[String(option)];
    return;
  }
  if (WITH_MEMBERS.includes(String(section)) && member !== undefined) delete at(values, [section])[String(member)];
  else delete values[String(section)];
}
