import * as path from "node:path";
import type { StreamEntry } from "../../domain/artifact.ts";
import type { BackupId, SourceMetadata } from "../../domain/backup.ts";
import type { Engine, EngineContext, TargetState } from "../../engines/engine.ts";
import { BackupctlError } from "../../errors.ts";
import { isSymlink, realPlace } from "../../platform/files.ts";
import { contains } from "../../platform/walk.ts";
import type { RestorePlan, RestoreRequest } from "../operations.ts";
import { openEngine, openEngineOf, type Session } from "../session.ts";
import type { TreeFacts } from "./facts.ts";

type Refusal = RestorePlan["refusals"][number];

export interface TreePlace {
  readonly shape: "tree";
  /** What the names that `nameOf` gives are relative to. Without a symlink: one that lies there later is not followed. */
  readonly root: string;
  /** Where an entry of the backup goes; `undefined`: nowhere, it is a mere parent of what is restored. */
  readonly nameOf: (name: Buffer) => Buffer | undefined;
  /** The folders that the source covers, as names that `nameOf` gives. */
  readonly folders: readonly Buffer[];
  /** False where the configuration does not know the source, and `folders` is only what the index suggests. */
  readonly foldersKnown: boolean;
  /** True for what `--delete` must leave although the backup has it not. */
  readonly leavesOut: ((name: Buffer, isDirectory: boolean) => boolean) | undefined;
  /** Nothing is there yet: the tree can be made aside and appear at once. */
  readonly staged: boolean;
}

export interface StreamPlace {
  readonly shape: "stream";
  readonly engine: Engine;
  readonly to: string | undefined;
  /** The ordinary file that it comes to, where it is one. */
  readonly file: string | undefined;
  /** The folder that it gets as one of several sources. */
  readonly ownFolder: string | undefined;
  readonly overrides: Readonly<Record<string, unknown>> | undefined;
  readonly entries: readonly StreamEntry[];
}

export interface PlannedPlace<Place> {
  readonly place: Place;
  readonly state: TargetState;
  readonly refusals: readonly Refusal[];
  readonly warnings: readonly string[];
}

type PlaceRequest = Pick<
  RestoreRequest,
  "to" | "target" | "overwrite" | "dropExisting" | "delete" | "include" | "exclude"
>;

/** The names, relative to `/`, of the paths that the configuration has for a files source; none if it does not know it. */
export async function configuredPaths(session: Session, sourceName: string): Promise<readonly Buffer[]> {
  if (!isConfigured(session, sourceName)) return [];
  return pathsIn(await session.loaded.resolveSource(sourceName)).map(nameOfPath);
}

function isConfigured(session: Session, sourceName: string): boolean {
  return session.loaded.config.sources.some(({ name }) => name === sourceName);
}

function pathsIn(options: Readonly<Record<string, unknown>>): readonly string[] {
  const { paths } = options;
  return Array.isArray(paths) ? paths.filter((member) => typeof member === "string") : [];
}

function nameOfPath(place: string): Buffer {
  return Buffer.from(path.posix.normalize(place).replace(/^\/+|\/+$/g, ""), "utf8");
}

/** The sources that one request restores. With `--to` each of several gets a folder of its own. */
export interface Company {
  readonly backupId: BackupId;
  readonly sources: readonly SourceMetadata[];
}

export async function planTreePlace(
  session: Session,
  source: SourceMetadata,
  facts: TreeFacts,
  request: PlaceRequest,
  company: Company,
  engineContext: EngineContext,
): Promise<PlannedPlace<TreePlace>> {
  const configured = isConfigured(session, source.name);
  const moved = request.target === undefined ? undefined : await movedPaths(session, source.name, request.target);
  const own = ownFolder(source, request, company);
  const to = own ?? (request.to === undefined ? undefined : path.resolve(request.to));
  const nameOf = moved === undefined || to !== undefined ? (name: Buffer) => name : moved.nameOf;
  const covered = facts.present.flatMap((name) => nameOf(name) ?? []);
  const folders = covered.length === 0 ? [facts.commonFolder] : covered;
  const places = to === undefined ? folders.map((name) => `/${name.toString("utf8")}`) : [to];
  const looking = await openEngineOf(session, source.engine, { paths: places });
  const state = await looking.inspectTarget({ ...(to === undefined ? {} : { to }), entries: [] }, engineContext);
  const leavesOut = configured
    ? (await openEngine(session, source.name, to === undefined ? moved?.overrides : {})).leavesOut
    : undefined;
  const isEmpty = state.overwrites.length === 0;
  const place: TreePlace = {
    shape: "tree",
    root: to === undefined ? "/" : await realPlace(to),
    nameOf,
    folders,
    foldersKnown: configured && covered.length > 0,
    leavesOut,
    staged: to !== undefined && isEmpty,
  };
  const link = await refuseLink(own, source);
  const refusals = link === undefined ? treeRefusals(source, state, place, request) : [link];
  return { place, state, refusals, warnings: [] };
}

/** The folder of its own below `--to` that each of several sources gets. */
function ownFolder({ name }: SourceMetadata, { to }: PlaceRequest, { sources }: Company): string | undefined {
  return to === undefined || sources.length === 1 ? undefined : path.resolve(to, name);
}

/** The operator named `--to`, which may be a symlink, but never saw where one in it leads. */
export async function refuseLink(
  folder: string | undefined,
  { name }: Pick<SourceMetadata, "name">,
): Promise<Refusal | undefined> {
  if (folder === undefined || !(await isSymlink(folder))) return undefined;
  return {
    code: "TARGET_NOT_EMPTY",
    message: `the target of source "${name}", ${folder}, is a symlink, which is not followed`,
    hint: `Remove the link, or restore to where it leads with --source ${name} --to DIR.`,
  };
}

function treeRefusals(
  source: SourceMetadata,
  state: TargetState,
  place: TreePlace,
  request: PlaceRequest,
): readonly Refusal[] {
  if (state.refusal !== undefined) {
    const hint = "Give another place with --to PATH, or move away what is there.";
    return [
      { code: "TARGET_NOT_EMPTY", message: `source "${source.name}" can't be restored there: ${state.refusal}`, hint },
    ];
  }
  const refusals: Refusal[] = [];
  if (state.overwrites.length > 0 && !request.overwrite) {
    refusals.push({
      code: "TARGET_NOT_EMPTY",
      message: `the target of source "${source.name}" is not empty: ${state.contents.join("; ")}`,
      hint: "Replace the files that the backup has with --overwrite (others stay), or restore elsewhere with --to PATH.",
    });
  }
  if (!request.delete) return refusals;
  if (!request.overwrite) {
    refusals.push({
      code: "USAGE",
      message: "--delete needs --overwrite",
      hint: "Add --overwrite, or leave out --delete.",
    });
  }
  if (request.include.length + request.exclude.length > 0) {
    refusals.push({
      code: "USAGE",
      message: "--delete can't be combined with --include or --exclude",
      hint: "Restore the whole source with --delete, or a part of it without.",
    });
  }
  if (!place.foldersKnown) {
    refusals.push({
      code: "USAGE",
      message: `the config does not have source "${source.name}" with paths of this backup, so it can't be told what --delete may remove`,
      hint: `Add source "${source.name}" to the config with its paths and excludes, or leave out --delete.`,
    });
  }
  return refusals;
}

interface MovedPaths {
  readonly overrides: Readonly<Record<string, unknown>>;
  readonly nameOf: (name: Buffer) => Buffer | undefined;
}

/** A target gives a files source other paths, one for each of its own, in the same order. */
async function movedPaths(session: Session, sourceName: string, target: string): Promise<MovedPaths> {
  const overrides = await targetOverrides(session, sourceName, target);
  const from = await configuredPaths(session, sourceName);
  const to = overrides.paths === undefined ? from : pathsIn(overrides).map(nameOfPath);
  if (from.length !== to.length) {
    throw new BackupctlError(
      "CONFIG_INVALID",
      `target "${target}" has ${to.length} paths for source "${sourceName}", which has ${from.length}`,
      {
        hint: "Give the target one path for each path of the source, in the same order.",
      },
    );
  }
  const pairs = from
    .map((name, i) => ({ from: name, to: to[i] ?? name }))
    .sort((a, b) => b.from.length - a.from.length);
  return {
    overrides,
    nameOf(name) {
      const pair = pairs.find((candidate) => candidate.from.equals(name) || contains(candidate.from, name));
      return pair === undefined ? undefined : joined(pair.to, name.subarray(pair.from.length));
    },
  };
}

function joined(folder: Buffer, rest: Buffer): Buffer {
  return folder.length === 0 ? rest.subarray(rest[0] === 0x2f ? 1 : 0) : Buffer.concat([folder, rest]);
}

/** @throws `TARGET_NOT_FOUND` */
async function targetOverrides(
  session: Session,
  sourceName: string,
  target: string,
): Promise<Readonly<Record<string, unknown>>> {
  const overrides = await session.loaded.resolveTarget(target, sourceName);
  const found = session.loaded.config.targets.find(({ name }) => name === target);
  if (found?.sources.includes(sourceName)) return overrides;
  throw new BackupctlError("TARGET_NOT_FOUND", `target "${target}" has no place for source "${sourceName}"`, {
    hint: `Add it under targets: ${target}: in the config, or choose others with --source.`,
  });
}

export async function planStreamPlace(
  session: Session,
  source: SourceMetadata,
  entries: readonly StreamEntry[],
  request: PlaceRequest,
  company: Company,
  engineContext: EngineContext,
): Promise<PlannedPlace<StreamPlace>> {
  const definition = session.adapters.engines[source.engine];
  const isName = definition?.toMeans === "name";
  const configured = isConfigured(session, source.name);
  const overrides =
    request.target === undefined ? undefined : await targetOverrides(session, source.name, request.target);
  const own = isName ? undefined : ownFolder(source, request, company);
  const to = own === undefined ? request.to : `${own}/`;
  const engine = configured
    ? await openEngine(session, source.name)
    : await openEngineOf(session, source.engine, definition?.unconfigured ?? {});
  const place: StreamPlace = { shape: "stream", engine, to, file: undefined, ownFolder: own, overrides, entries };
  const refusal =
    whyNot(source, configured, request) ??
    (isName ? apartFromOthers(session, source, company, request) : await refuseLink(own, source));
  if (refusal !== undefined) {
    const state = { place: request.to ?? "nowhere", exists: false, contents: [], overwrites: [], downtime: false };
    return { place, state, refusals: [refusal], warnings: [] };
  }
  const state = await engine.inspectTarget(streamTarget(place), engineContext);
  const warnings =
    configured || !isName ? [] : [`source "${source.name}" is not in the config: its server is the local one`];
  return {
    place: { ...place, file: state.file },
    state,
    refusals: streamRefusals(source, state, engine, isName, request),
    warnings,
  };
}

export function streamTarget({ to, overrides, entries }: StreamPlace) {
  return { ...(to === undefined ? {} : { to }), ...(overrides === undefined ? {} : { overrides }), entries };
}

function whyNot(source: SourceMetadata, configured: boolean, request: PlaceRequest): Refusal | undefined {
  if (configured || request.to !== undefined) return undefined;
  return {
    code: "USAGE",
    message: `the config does not have source "${source.name}", so it is not known where it goes`,
    hint: `Add it to the config with engine: ${source.engine}, give --to, or use \`backupctl download\`.`,
  };
}

/** One `--to` can't be a database's name and a folder, nor the name of two databases. */
function apartFromOthers(
  { adapters }: Session,
  source: SourceMetadata,
  { backupId, sources }: Company,
  { to }: PlaceRequest,
): Refusal | undefined {
  if (to === undefined || sources.length === 1) return undefined;
  const toFolders = sources.filter(({ engine }) => adapters.engines[engine]?.toMeans !== "name");
  const command = (names: string, place: string): string =>
    `\`backupctl restore ${backupId.slice(0, 8)} --source ${names} --to ${place}\``;
  const others =
    toFolders.length === 0 ? "the others likewise" : command(toFolders.map(({ name }) => name).join(","), "DIR");
  return {
    code: "USAGE",
    message: `--to means a database name for source "${source.name}", and a folder for others`,
    hint: `Restore them one after the other: ${command(source.name, "NAME")}, then ${others}.`,
  };
}

function streamRefusals(
  source: SourceMetadata,
  state: TargetState,
  engine: Engine,
  isName: boolean,
  request: PlaceRequest,
): readonly Refusal[] {
  if (state.refusal !== undefined || engine.restore === undefined) {
    const reason = state.refusal ?? `engine ${source.engine} can't restore`;
    const hint = "Choose another place, or write it as ordinary files: `backupctl download`.";
    return [{ code: "USAGE", message: `source "${source.name}" can't be restored there: ${reason}`, hint }];
  }
  if (!state.exists || request.dropExisting || (request.overwrite && !isName)) return [];
  const [flag, elsewhere] = isName ? ["--drop-existing", "--to NAME"] : ["--overwrite", "--to PATH"];
  return [
    {
      code: "TARGET_NOT_EMPTY",
      message: `${state.place} exists${state.contents.length === 0 ? "" : `: ${state.contents.join("; ")}`}`,
      hint: `Replace it with ${flag}, or restore elsewhere with ${elsewhere}.`,
    },
  ];
}
