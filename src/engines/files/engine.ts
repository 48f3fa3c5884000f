import * as fs from "node:fs";
import { count } from "../../domain/count.ts";
import { BackupctlError } from "../../errors.ts";
import { systemClock } from "../../platform/clock.ts";
import { describeFolder } from "../../platform/tree/folder-contents.ts";
import { showPath } from "../../platform/walk.ts";
import type {
  DumpContext,
  Engine,
  EngineContext,
  EngineTools,
  Estimate,
  TargetRequest,
  TargetState,
  TreeDump,
} from "../engine.ts";
import { leftOutBy } from "./left-out.ts";
import { type FilesOptions, options as schema } from "./options.ts";
import { resolveRoots } from "./roots.ts";
import { select } from "./selection.ts";
import { startTreeDump } from "./tree-dump.ts";

const ESTIMATE_MS = 250;
const ENTRIES_BETWEEN_LOOKS = 1_000;

export function openEngine(options: FilesOptions, _tools: EngineTools): Engine {
  return {
    estimate: (context) => estimate(options, context),
    dump: async (context) => dump(options, context),
    inspectTarget: async (request) => inspectTarget(options, request),
    leavesOut: leftOutBy(options),
  };
}

/** Counts for a quarter of a second at most, as nothing is read meanwhile; what a larger tree holds beyond that is left open. */
async function estimate(options: FilesOptions, context: EngineContext): Promise<Estimate> {
  const until = systemClock.monotonicMs() + ESTIMATE_MS;
  const ignored = { unreadable: () => undefined, special: () => undefined, leaving: () => undefined };
  let sizeBytes = 0;
  let items = 0;
  for (const entry of select(resolveRoots(options.paths).found, options, ignored)) {
    if (entry !== undefined) {
      if (entry.stats.isFile()) sizeBytes += Number(entry.stats.size);
      if (++items % ENTRIES_BETWEEN_LOOKS !== 0) continue;
    }
    await new Promise(setImmediate);
    if (context.signal.aborted || systemClock.monotonicMs() > until) return { sizeBytes, items, uncertain: true };
  }
  return { sizeBytes, items };
}

function dump(options: FilesOptions, context: DumpContext): TreeDump {
  const roots = resolveRoots(options.paths);
  if (roots.found.length === 0) {
    throw new BackupctlError(
      "SOURCE_FAILED",
      `source "${context.sourceName}" yields nothing: ${roots.missing.join(", ")}`,
      { hint: "Correct its paths in the config, then run: backupctl config validate" },
    );
  }
  return startTreeDump(options, roots, context);
}

function inspectTarget(options: FilesOptions, request: TargetRequest): TargetState {
  if (request.to !== undefined) return folderToBe(request.to);
  const paths = ownPlace(options, request);
  const states = paths.map(folderState);
  return {
    place: paths.join(", "),
    exists: states.some((state) => state.exists),
    contents: states.flatMap((state) => state.contents),
    overwrites: states.flatMap((state) => state.overwrites),
    // Whoever reads the files meanwhile finds old ones beside new ones.
    downtime: states.some((state) => state.downtime),
  };
}

/** A source's own path may be a file; what `--to` names is a folder. */
function folderToBe(place: string): TargetState {
  const state = folderState(place);
  const { kind } = describeFolder(place);
  return kind === "missing" || kind === "directory" ? state : { ...state, refusal: `${place} is no folder` };
}

function ownPlace(options: FilesOptions, request: TargetRequest): readonly string[] {
  const overridden = request.overrides?.paths;
  return overridden === undefined ? options.paths : schema.shape.paths.parse(overridden);
}

function folderState(place: string): TargetState {
  const folder = describeFolder(place);
  if (folder.kind === "missing") return { place, exists: false, contents: [], overwrites: [], downtime: false };
  if (folder.kind !== "directory") {
    const size = folder.kind === "file" ? `, ${fs.lstatSync(place).size} bytes` : "";
    const what = `${place}: a ${folder.kind === "special" ? "device, pipe or socket" : folder.kind}${size}`;
    return { place, exists: true, contents: [what], overwrites: [what], downtime: true };
  }
  if (folder.members === 0) {
    return { place, exists: true, contents: [`${place}: empty`], overwrites: [], downtime: false };
  }
  const more = folder.members > folder.first.length ? ", …" : "";
  const contents = `${place}: ${count(folder.members, "entry", "entries")} (${folder.first.map(showPath).join(", ")}${more})`;
  return {
    place,
    exists: true,
    contents: [contents],
    overwrites: [`files below ${place} that the backup has too`],
    downtime: true,
  };
}
