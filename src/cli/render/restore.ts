import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import type { RestorePlan, RestoreResult, RestoreSourcePlan } from "../../operations/operations.ts";
import { renderFields } from "./fields.ts";
import { bad, caution, formatSeconds, good, type Look, type Painted, strong } from "./look.ts";

const MOST_LISTED = 8;

export function renderRestorePlan(look: Look, plan: RestorePlan): string {
  const { backup } = plan;
  const time =
    plan.estimatedSeconds === undefined ? "unknown: nothing to go by yet" : formatSeconds(plan.estimatedSeconds);
  const overview = renderFields(look, [
    ["made", look.time(backup.timestamp)],
    ["asked for", plan.gap === undefined ? undefined : look.time(plan.gap.asked)],
    ["gap", gapText(plan)],
    ["restores", formatBytes(plan.bytesToRestore)],
    ["fetches", `${formatBytes(plan.bytesToFetch)} in ${count(plan.packs, "pack")} from ${plan.storage}`],
    ["to thaw", thawText(look, plan)],
    ["built on", plan.lineage.length > 1 ? count(plan.lineage.length - 1, "earlier backup") : undefined],
    ["takes", time],
    ["downtime", plan.downtime ? caution("yes") : "no"],
  ]);
  const refusals = plan.refusals.map(({ message, hint }) => look.line`${bad("refused")}: ${message}\n  ${hint}`);
  const warnings = plan.warnings.map((warning) => look.line`${caution("warning")}: ${warning}`);
  return [
    look.line`restore of ${strong(backup.id)} (${backup.type}, ${backup.mode})\n` + overview,
    ...plan.sources.map((source) => sourceBlock(look, source)),
    ...warnings,
    ...refusals,
  ].join("\n\n");
}

function thawText(look: Look, { frozen }: RestorePlan): Painted | undefined {
  if (frozen.length === 0) return undefined;
  const each = frozen.map(({ storage, packs, bytes, asked, thawMs, expectedAt }) => {
    const begun = asked === 0 ? "" : `, ${asked} asked for already`;
    const when =
      expectedAt === undefined
        ? `takes up to ${formatSeconds(thawMs / 1000)}`
        : `can be read by ${look.time(expectedAt)} at the latest`;
    return `${formatBytes(bytes)} in ${count(packs, "pack")} of ${storage}${begun}; ${when}`;
  });
  return caution(each.join("; "));
}

function gapText({ gap }: RestorePlan): Painted | undefined {
  if (gap === undefined) return undefined;
  const text = `${formatSeconds(gap.seconds)}: nothing after the backup comes back`;
  return gap.exceeds ? bad(`${text} (more than the allowed gap)`) : caution(text);
}

function sourceBlock(look: Look, source: RestoreSourcePlan): string {
  const size = `${formatBytes(source.bytes)}, ${count(source.entries, "entry", "entries")}`;
  return `${look.line`${strong(source.name)} (${source.engine}) to ${source.place}`}\n${renderFields(look, [
    ["brings back", size],
    ["fetches", `${formatBytes(source.bytesToFetch)} in ${count(source.packs, "pack")}`],
    ["there now", source.exists ? caution(few(source.contents) || "something of that name") : "nothing"],
    ["replaces", source.overwrites.length === 0 ? undefined : caution(few(source.overwrites))],
    ["deletes", source.deletes === 0 ? undefined : bad(count(source.deletes, "entry", "entries"))],
    ["downtime", source.downtime ? caution("yes") : undefined],
  ])}`;
}

function few(list: readonly string[]): string {
  const shown = list.slice(0, MOST_LISTED).join(", ");
  return list.length > MOST_LISTED ? `${shown} and ${list.length - MOST_LISTED} more` : shown;
}

export function renderRestoreResult(look: Look, result: RestoreResult): string {
  const blocks = result.sources.map((source) => {
    const { name, place, status, checks } = source;
    return [
      look.line`${status === "completed" ? good("restored") : bad(status)} ${strong(name)} to ${place}`,
      ...checks.map(({ passed, ...check }) =>
        passed
          ? look.line`  ${good("passed")}  ${check.name}: ${check.detail}`
          : look.line`  ${bad("FAILED")}  ${check.name}`,
      ),
    ].join("\n");
  });
  const done = look.line`${formatBytes(result.bytes)} from ${look.id(result.backupId)} in ${formatSeconds(result.seconds)}`;
  return [...blocks, done].join("\n");
}

/** What is told also where nothing else is: why a source did not come back, or is not what it was. */
export function restoreProblems(look: Look, { sources }: RestoreResult): readonly string[] {
  return sources.flatMap(({ name, error, checks }) => {
    const hint = error?.hint === undefined ? "" : look.line` ${error.hint}`;
    return [
      ...(error === undefined ? [] : [look.line`source "${name}" failed: ${error.code}: ${error.message}.${hint}`]),
      ...checks.flatMap((check) =>
        check.passed ? [] : [look.line`source "${name}" failed a check: ${check.name}: ${check.detail}`],
      ),
    ];
  });
}

type RestoreOutcome = "completed" | "check_failed" | "partial" | "failed";

export function restoreOutcome({ sources }: RestoreResult): RestoreOutcome {
  const completed = sources.filter(({ status }) => status === "completed");
  if (completed.length === 0) return "failed";
  if (completed.length < sources.length) return "partial";
  return sources.some(({ checks }) => checks.some(({ passed }) => !passed)) ? "check_failed" : "completed";
}
