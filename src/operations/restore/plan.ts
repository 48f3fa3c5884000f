import type { Catalog } from "../../catalog/catalog.ts";
import type { StreamEntry } from "../../domain/artifact.ts";
import type { SourceMetadata } from "../../domain/backup.ts";
import type { EngineContext } from "../../engines/engine.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import { readTreeIndex } from "../../format/index-reader.ts";
import { type ExtraEntries, findExtra } from "../../platform/tree/folder-contents.ts";
import { contains } from "../../platform/walk.ts";
import type { OperationContext } from "../context.ts";
import { describeFrozen, type Frozen, findFrozen } from "../copies/frozen.ts";
import type { RestorePlan, RestoreRequest, RestoreSourcePlan } from "../operations.ts";
import { asCorrupted, type BackupContents, type OpenedSource, openContents } from "../repository/backup-contents.ts";
import { summaryOf } from "../repository/backup-summary.ts";
import { findDamagedAncestors } from "../repository/committed-backup.ts";
import type { Session } from "../session.ts";
import { chooseBackup, chooseSources, findCopy } from "./choice.ts";
import { packKeys, type SourceFacts, streamFacts, type TreeFacts, treeFacts } from "./facts.ts";
import { fromSystem } from "./failure.ts";
import { type OwnFolder, ownFolders, refuseOwnFile, refuseOwnFolder } from "./own-folders.ts";
import {
  type Company,
  configuredPaths,
  type PlannedPlace,
  planStreamPlace,
  planTreePlace,
  type StreamPlace,
  type TreePlace,
} from "./place.ts";
import { refusedNames } from "./refused-names.ts";
import { ChosenEntries, newEntriesBudget, type Selection, selectedParts, selectionOf } from "./selection.ts";
import { refuseShared } from "./shared-places.ts";

/** A source with all that its restore needs. */
export interface PreparedSource {
  readonly opened: OpenedSource;
  /** What is wanted of a tree. */
  readonly chosen: ChosenEntries;
  readonly facts: SourceFacts;
  readonly place: TreePlace | StreamPlace;
  readonly plan: RestoreSourcePlan;
}

export interface PreparedRestore {
  readonly plan: RestorePlan;
  readonly contents: BackupContents;
  readonly sources: readonly PreparedSource[];
  /** What has to be thawed before. */
  readonly frozen: readonly Frozen[];
  /** Left out because of damage, with `--skip-damaged`. */
  readonly damaged: readonly { readonly source: SourceMetadata; readonly error: BackupctlError }[];
  /** The plan as it is by now: of the same backup, which must still be there, with another look at the targets. */
  again(): Promise<PreparedRestore>;
  close(): Promise<void>;
}

/** What plans were made from, so that a restore need not open and read all of it once more. */
const preparedFor = new WeakMap<RestorePlan, PreparedRestore>();

/** What a restore would do; touches nothing. @throws `BACKUP_NOT_FOUND`, `BACKUP_CORRUPTED`, `USAGE`, … */
export async function planRestore(context: OperationContext, request: RestoreRequest): Promise<RestorePlan> {
  const prepared = await prepareRestore(context, request);
  context.closeLater(prepared.close);
  preparedFor.set(prepared.plan, prepared);
  return prepared.plan;
}

/** An agreed plan made again, under the lock. The caller closes it. */
export function prepareAgain(
  context: OperationContext,
  request: RestoreRequest,
  plan: RestorePlan,
): Promise<PreparedRestore> {
  const prepared = preparedFor.get(plan);
  preparedFor.delete(plan);
  return prepared?.again() ?? prepareRestore(context, sameBackup(request, plan));
}

/** The request that names the backup which the plan chose: a newer one may have come since. */
function sameBackup(request: RestoreRequest, plan: RestorePlan): RestoreRequest {
  const byType = request.type === undefined || request.type === "full" ? [] : [request.type];
  const components = [...byType, ...request.components];
  return { ...request, reference: plan.backup.id, latest: false, type: undefined, timestamp: undefined, components };
}

/** The plan with everything opened that it was made from. The caller closes it. */
async function prepareRestore(context: OperationContext, request: RestoreRequest): Promise<PreparedRestore> {
  const { session } = context;
  const catalog = await context.catalog("read");
  const { backup, gap, warnings: choiceWarnings } = await chooseBackup(context, catalog, request);
  const { copies, metadata, warnings: copyWarnings } = await findCopy(context, backup, request);
  const repository = await context.repository();
  const storage = await repository.storage(copies[0]);
  const ancestorWarnings = await findDamagedAncestors(repository, storage, metadata, (id) => catalog.get(id));
  // A component chose the backup already where none was named; its other sources are still not wanted.
  const byType = request.type === undefined || request.type === "full" ? [] : [request.type];
  const wanted = { sources: request.sources, components: [...byType, ...request.components] };
  const chosen = chooseSources(metadata, wanted);
  const salvage = request.skipDamaged ? (why: string): void => session.logger.warn(why) : undefined;
  const contents = await openContents(context, copies, metadata, { salvage });
  try {
    const selection = selectionOf(request);
    const preparing = new Preparing(session, contents, request, selection);
    for (const source of chosen.sources) await preparing.count(source);
    const frozen = await findFrozen(repository, {
      storages: copies,
      keys: preparing.packKeys(),
      signal: session.signal,
    });
    const place = async (): Promise<PreparedRestore> => {
      const { sources, refusals, warnings } = await preparing.place();
      const bytes = sum(sources, ({ plan }) => plan.bytes);
      const plan: RestorePlan = {
        backup: summaryOf(backup),
        gap,
        lineage: metadata.lineage.map(({ id }) => id),
        storage: copies[0],
        sources: sources.map(({ plan: source }) => source),
        bytesToRestore: bytes,
        bytesToFetch: sum(sources, (source) => source.plan.bytesToFetch),
        packs: sum(sources, (source) => source.plan.packs),
        estimatedSeconds: estimateSeconds(catalog, bytes),
        frozen: describeFrozen(frozen, catalog, session.clock.now()),
        downtime: sources.some((source) => source.plan.downtime),
        refusals,
        inPlace: !isElsewhere(request),
        warnings: [...choiceWarnings, ...copyWarnings, ...ancestorWarnings, ...chosen.warnings, ...warnings],
      };
      return { plan, contents, sources, frozen, damaged: preparing.damaged, again, close: () => contents.close() };
    };
    const again = async (): Promise<PreparedRestore> => {
      await findCopy(context, backup, request);
      const now = await place();
      requireSameRoots(planned.sources, now.sources);
      return now;
    };
    const planned = await place();
    return planned;
  } catch (error) {
    await contents.close();
    throw error;
  }
}

function isElsewhere({ to, target }: Pick<RestoreRequest, "to" | "target">): boolean {
  return to !== undefined || target !== undefined;
}

/** What lies on the way to a target may have become a symlink to another place. @throws `RESTORE_FAILED` */
function requireSameRoots(planned: readonly PreparedSource[], now: readonly PreparedSource[]): void {
  const rootOf = ({ place }: PreparedSource): string => (place.shape === "tree" ? place.root : "");
  const moved = now.find((source, i) => planned[i] !== undefined && rootOf(source) !== rootOf(planned[i]));
  if (moved === undefined) return;
  const { name, place } = moved.plan;
  throw new BackupctlError(
    "RESTORE_FAILED",
    `${place}, where source "${name}" goes, leads elsewhere since the plan was made`,
    {
      hint: "Nothing was touched. Look at the new plan with --dry-run, then restore again.",
    },
  );
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

/** Runs over less than this measure how long it takes to begin. */
const TELLING_BYTES = 1e6;

/** From earlier restores here, else from full backups, which take as long or longer; unknown without either. */
function estimateSeconds(catalog: Catalog, bytes: number): number | undefined {
  for (const filter of [{ operation: "restore" }, { operation: "create", mode: "full" }] as const) {
    const runs = catalog.recentDurations(filter).filter(({ seconds }) => seconds > 0);
    const done = sum(runs, (run) => run.bytes);
    if (done >= TELLING_BYTES) return (bytes * sum(runs, (run) => run.seconds)) / done;
  }
  return undefined;
}

/** A source that is opened and counted; where it goes depends on how many there are. */
type Candidate =
  | {
      readonly shape: "tree";
      readonly opened: OpenedSource;
      readonly chosen: ChosenEntries;
      readonly facts: TreeFacts;
    }
  | {
      readonly shape: "stream";
      readonly opened: OpenedSource;
      readonly chosen: ChosenEntries;
      readonly facts: SourceFacts;
      readonly entries: readonly StreamEntry[];
    };

interface Placed {
  readonly sources: PreparedSource[];
  readonly refusals: RestorePlan["refusals"][number][];
  readonly warnings: string[];
  readonly own: readonly OwnFolder[];
}

class Preparing {
  readonly damaged: { readonly source: SourceMetadata; readonly error: BackupctlError }[] = [];
  readonly #warnings: string[] = [];
  readonly #session: Session;
  readonly #contents: BackupContents;
  readonly #request: RestoreRequest;
  readonly #selection: Selection | undefined;
  readonly #budget = newEntriesBudget();
  readonly #candidates: Candidate[] = [];

  constructor(session: Session, contents: BackupContents, request: RestoreRequest, selection: Selection | undefined) {
    this.#session = session;
    this.#contents = contents;
    this.#request = request;
    this.#selection = selection;
  }

  /** Opens and counts a source; one of which nothing is selected is passed over. */
  async count(source: SourceMetadata): Promise<void> {
    try {
      const candidate = await this.#candidate(await this.#contents.source(source.name));
      if (candidate !== undefined) this.#candidates.push(candidate);
    } catch (caught) {
      const error = asCorrupted(caught, this.#contents, source.name);
      if (!this.#request.skipDamaged || !isBackupctlError(error, "BACKUP_CORRUPTED")) throw error;
      this.damaged.push({ source, error });
      this.#warnings.push(`source "${source.name}" is left out: ${error.message}`);
    }
  }

  async #candidate(opened: OpenedSource): Promise<Candidate | undefined> {
    const selected = this.#selection;
    const chosen = new ChosenEntries(opened.indexFile, selected, this.#budget);
    if (opened.shape === "tree") {
      const names = await configuredPaths(this.#session, opened.source.name);
      const facts = await treeFacts(chosen, names, this.#session.signal);
      return facts.entries === 0 && selected !== undefined ? undefined : { shape: "tree", opened, chosen, facts };
    }
    const { index, ...facts } = streamFacts(opened);
    const entries = selectedParts(index.entries, selected);
    if (entries.length === 0 && selected !== undefined) return undefined;
    return { shape: "stream", opened, chosen, facts: { ...facts, entries: entries.length }, entries };
  }

  /** Of all packs that have to be read. */
  packKeys(): readonly string[] {
    return [...new Set(this.#candidates.flatMap(({ opened, facts }) => packKeys(opened, facts.packs)))];
  }

  /** Looks at the places, as they are now. A plan to restore nothing would be carried out in silence, so it is none. */
  async place(): Promise<Placed> {
    const placed: Placed = {
      sources: [],
      refusals: [],
      warnings: [...this.#warnings],
      own: await ownFolders(this.#session),
    };
    const [damaged] = this.damaged;
    if (this.#candidates.length === 0 && damaged !== undefined) throw damaged.error;
    if (this.#candidates.length === 0) throw nothingSelected(this.#contents.metadata.id, this.#request);
    // A damaged one counts: the others go where they would go without the damage.
    const chosen = [
      ...this.#candidates.map(({ opened }) => opened.source),
      ...this.damaged.map(({ source }) => source),
    ];
    const company = { backupId: this.#contents.metadata.id, sources: chosen };
    for (const candidate of this.#candidates) {
      try {
        await (candidate.shape === "tree"
          ? this.#placeTree(candidate, company, placed)
          : this.#placeStream(candidate, company, placed));
      } catch (error) {
        const place = this.#request.to ?? "its place";
        throw fromSystem(error, { name: candidate.opened.source.name, place }) ?? error;
      }
    }
    placed.refusals.push(...refuseShared(placed.sources, this.#request));
    return placed;
  }

  async #placeTree(candidate: Candidate & { shape: "tree" }, company: Company, placed: Placed): Promise<void> {
    const { opened, facts, chosen } = candidate;
    const { source } = opened;
    const { signal } = this.#session;
    const planned = await planTreePlace(
      this.#session,
      source,
      facts,
      this.#request,
      company,
      this.#context(opened, placed),
    );
    const { place } = planned;
    const isFree = planned.refusals.length === 0;
    const remove = this.#request.delete && isFree;
    const extras = remove ? await findExtras(opened, place, signal) : [];
    const removed = remove ? extras.flatMap(({ names }) => names) : undefined;
    const tree = { source: source.name, chosen, place, isElsewhere: isElsewhere(this.#request), removed, signal };
    placed.refusals.push(...(await refuseOwnFolder(tree, placed.own)));
    if (isFree) placed.refusals.push(...(await refusedNames({ chosen, place, delete: remove, signal })));
    const deletes = sum(extras, ({ files, directories }) => files + directories);
    this.#note(candidate, planned, deletes, placed);
  }

  async #placeStream(candidate: Candidate & { shape: "stream" }, company: Company, placed: Placed): Promise<void> {
    const { opened, entries } = candidate;
    const planned = await planStreamPlace(
      this.#session,
      opened.source,
      entries,
      this.#request,
      company,
      this.#context(opened, placed),
    );
    const { file } = planned.place;
    if (file !== undefined && isElsewhere(this.#request))
      placed.refusals.push(...(await refuseOwnFile(opened.source.name, file, placed.own)));
    this.#note(candidate, planned, 0, placed);
  }

  #note(
    { opened, chosen, facts }: Candidate,
    planned: PlannedPlace<TreePlace | StreamPlace>,
    deletes: number,
    placed: Placed,
  ): void {
    const { source } = opened;
    const { place, state } = planned;
    placed.refusals.push(...planned.refusals);
    placed.warnings.push(...planned.warnings);
    const plan: RestoreSourcePlan = {
      name: source.name,
      engine: source.engine,
      component: source.component,
      place: state.place,
      exists: state.exists,
      contents: state.contents,
      overwrites: state.overwrites,
      bytes: facts.bytes,
      bytesToFetch: facts.bytesToFetch,
      entries: facts.entries,
      packs: facts.packs.length,
      deletes,
      downtime: state.downtime,
    };
    placed.sources.push({ opened, chosen, facts, place, plan });
  }

  #context({ source }: OpenedSource, placed: Placed): EngineContext {
    return {
      sourceName: source.name,
      signal: this.#session.signal,
      warn: (message) => void placed.warnings.push(message),
      activity: () => undefined,
      temporaryDirectory: this.#contents.temporaryDirectory,
    };
  }
}

function nothingSelected(id: string, { include, exclude }: RestoreRequest): BackupctlError {
  const given = [...include.map((text) => `--include ${text}`), ...exclude.map((text) => `--exclude ${text}`)].join(
    " ",
  );
  return new BackupctlError("USAGE", `nothing in backup ${id} is left by ${given}`, {
    hint: "Names are those of the backed-up place, e.g. --include /srv/www/uploads/a.jpg, or patterns such as '*.jpg'.",
  });
}

/** What `--delete` would remove, folder by folder. */
export async function findExtras(
  opened: OpenedSource,
  place: TreePlace,
  signal: AbortSignal,
): Promise<readonly ExtraEntries[]> {
  const outermost = place.folders.filter(
    (folder) => !place.folders.some((other) => other !== folder && contains(other, folder)),
  );
  const found: ExtraEntries[] = [];
  for (const folder of outermost)
    found.push(
      await findExtra({ root: place.root, folder, names: namesIn(opened, place, folder), signal }, place.leavesOut),
    );
  return found;
}

/** Of one folder at a time: where a target moves several, only within each is the order that of the index. */
function* namesIn(opened: OpenedSource, place: TreePlace, folder: Buffer): Generator<Buffer> {
  for (const entry of readTreeIndex(opened.indexFile)) {
    const name = place.nameOf(entry.name);
    if (name !== undefined && contains(folder, name)) yield name;
  }
}
