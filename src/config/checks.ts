import { describeDuration, durationMs, parseDuration } from "../domain/duration.ts";
import { engineDefinitions } from "../engines/registry.ts";
import type { ConfigDocument } from "./document.ts";
import { nearest } from "./nearest.ts";
import type { ConfigPath, Problem } from "./problems.ts";
import { timesProblem } from "./schedules.ts";
import type { Frame } from "./schema.ts";
import { isRecord } from "./schema-walk.ts";

/** Rules between several options, checked when each of them is sound for itself. */
export function crossChecks(frame: Frame, document: ConfigDocument): readonly Problem[] {
  const at = (path: ConfigPath, message: string, suggestion?: string): Problem => ({
    path,
    message,
    ...document.position(path, "key"),
    ...(suggestion === undefined ? {} : { suggestion }),
  });
  return [
    ...storageProblems(frame, at),
    ...requireProblems(frame, at),
    ...encryptionProblems(frame, at),
    ...emptyPolicyProblems(document, at),
    ...retentionProblems(frame, at),
    ...retentionStorageProblems(frame, at),
    ...targetProblems(frame, at),
    ...toolProblems(frame, at),
    ...scheduleProblems(frame, at),
    ...notifyProblems(frame, at),
  ];
}

type At = (path: ConfigPath, message: string, suggestion?: string) => Problem;

function storageProblems(frame: Frame, at: At): readonly Problem[] {
  const names = Object.keys(frame.storages);
  if (names.length === 0) return [at(["storages"], "no storage is configured; backups need at least one")];
  const primaries = names.filter((name) => frame.storages[name]?.role === "primary");
  if (primaries.length > 1) {
    return [
      at(["storages", primaries[1] ?? "", "role"], `only one storage can be the primary, and ${primaries[0]} is it`),
    ];
  }
  const anyFree = names.some((name) => frame.storages[name]?.role === undefined);
  return primaries.length === 0 && !anyFree ? [at(["storages"], "one storage needs `role: primary`")] : [];
}

function requireProblems({ create, storages }: Frame, at: At): readonly Problem[] {
  const known = Object.keys(storages);
  return create.require.flatMap((name, i) => {
    const path = ["create", "require", i];
    if (!known.includes(name)) return [at(path, `there is no storage "${name}"`, nearest(name, known))];
    return storages[name]?.role === "archive"
      ? [at(path, `"${name}" is an archive, which create does not write to`)]
      : [];
  });
}

function encryptionProblems(frame: Frame, at: At): readonly Problem[] {
  const { enabled, required, keys } = frame.encryption;
  if (required && !enabled) return [at(["encryption", "required"], "encryption is required and switched off at once")];
  if (enabled && Object.keys(keys).length === 0) {
    return [
      at(
        ["encryption", "keys"],
        "encryption is on and no key is configured; add one, or set encryption.enabled: false",
      ),
    ];
  }
  return [];
}

/**
 * Whoever empties a policy, or comments out all its lines, means that nothing is kept, or all, or the defaults: which of them, it does not say.
 */
function emptyPolicyProblems({ values }: ConfigDocument, at: At): readonly Problem[] {
  if (!isRecord(values)) return [];
  const { retention, schedules } = values;
  const defaults = "is empty; leave it out for the defaults, or say how long backups are kept";
  if (isEmpty(retention)) return [at(["retention"], defaults)];
  const storages = isRecord(retention) ? retention.storages : undefined;
  const common = "is empty; leave it out for the common rules, or say how long backups are kept there";
  const ofStorages = isEmpty(storages)
    ? [["retention", "storages"]]
    : emptyMembers(storages, ["retention", "storages"]);
  const ofSchedules = Object.entries(isRecord(schedules) ? schedules : {}).flatMap(([name, schedule]) =>
    isRecord(schedule) && schedule.retention_days === null ? [["schedules", name, "retention_days"]] : [],
  );
  return [
    ...ofStorages.map((path) => at(path, common)),
    ...ofSchedules.map((path) => at(path, "is empty; leave it out for the class's time, or say how many days")),
  ];
}

function emptyMembers(value: unknown, path: readonly string[]): readonly (readonly string[])[] {
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([name, member]) => (isEmpty(member) ? [[...path, name]] : []));
}

/** It is named, and nothing is said below it. */
function isEmpty(value: unknown): boolean {
  return value === null || (isRecord(value) && Object.values(value).every((member) => member === null));
}

/**
 * A full backup outlives its period as long as a kept incremental hangs from it: up to `full_every` for the last incremental of
 * its chain to be made, and that one's own period after it. A shorter period promises what can't be done.
 */
function retentionProblems(frame: Frame, at: At): readonly Problem[] {
  const { retention, chain } = frame;
  const neededMs = durationMs(parseDuration(chain.full_every)) + durationMs(parseDuration(retention.incremental));
  const classes = ["daily", "weekly", "monthly", "yearly", "snapshots", "manual"] as const;
  return classes.flatMap((name) => {
    const text = retention[name];
    if (text === undefined || durationMs(parseDuration(text)) >= neededMs) return [];
    const said = parseDuration(text);
    const needed = `${describeDuration(parseDuration(chain.full_every))} (chain.full_every) and ${describeDuration(parseDuration(retention.incremental))} (retention.incremental)`;
    const problem = `is ${describeDuration(said)}, shorter than a chain lives: full backups are needed for ${needed}`;
    const months = said !== "forever" && said.unit === "m" ? `${said.amount}mo` : undefined;
    return [at(["retention", name], problem, months)];
  });
}

function retentionStorageProblems({ retention, storages }: Frame, at: At): readonly Problem[] {
  const known = Object.keys(storages);
  return Object.keys(retention.storages)
    .filter((name) => !known.includes(name))
    .map((name) => at(["retention", "storages", name], "there is no such storage", nearest(name, known)));
}

function targetProblems(frame: Frame, at: At): readonly Problem[] {
  const known = Object.keys(frame.sources);
  return Object.entries(frame.targets).flatMap(([target, { sources }]) =>
    Object.keys(sources)
      .filter((source) => !known.includes(source))
      .map((source) => at(["targets", target, "sources", source], "there is no such source", nearest(source, known))),
  );
}

function toolProblems(frame: Frame, at: At): readonly Problem[] {
  const known = Object.values(engineDefinitions).flatMap(({ tools = [] }) => tools);
  return Object.keys(frame.tools)
    .filter((tool) => !known.includes(tool))
    .map((tool) =>
      at(["tools", tool], `no engine runs such a program; known: ${known.join(", ")}`, nearest(tool, known)),
    );
}

function scheduleProblems({ schedules }: Frame, at: At): readonly Problem[] {
  return Object.entries(schedules).flatMap(([name, schedule]) => {
    const problem = timesProblem(schedule);
    return problem === undefined ? [] : [at(["schedules", name, problem.option], problem.message)];
  });
}

function notifyProblems({ schedules, notifiers }: Frame, at: At): readonly Problem[] {
  const known = Object.keys(notifiers);
  return Object.entries(schedules).flatMap(([schedule, { notify }]) =>
    (["on_success", "on_failure"] as const).flatMap((when) =>
      notify[when].flatMap((name, i) => {
        if (known.includes(name)) return [];
        const path = ["schedules", schedule, "notify", when, i];
        return [at(path, `there is no notifier "${name}"`, nearest(name, known))];
      }),
    ),
  );
}
