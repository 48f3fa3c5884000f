import { randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { MARKER_NAME } from "../../src/domain/object-names.ts";
import type { Engine, EngineDefinition } from "../../src/engines/engine.ts";
import { encodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { openOperations } from "../../src/operations/open.ts";
import type { CreateRequest, CreateResult, Operations } from "../../src/operations/operations.ts";
import type { Session } from "../../src/operations/session.ts";
import type { Storage, StorageDefinition } from "../../src/storage/storage.ts";
import { type FaultyStorage, faultyStorage } from "./faulty-storage.ts";
import { makeSite, type Site, type SiteOptions } from "./site.ts";

export interface OpenSite extends Site {
  readonly operations: Operations;
  /** Another program over the same site: its own connections, its own view of the catalog. */
  reopen(changes?: Partial<Session>): Promise<Operations>;
  /** The path of the newest backup's directory, in the storage. */
  backupDirectory(): Promise<string>;
}

export const WWW = `  www: {engine: files, paths: ["{dir}/www"]}`;

/** A site with a few files, and the operations over it. */
export async function openSite(options: Partial<SiteOptions> = {}): Promise<OpenSite> {
  const site = await makeSite({ sources: WWW, ...options });
  fillWww(site);
  const reopen = async (changes: Partial<Session> = {}): Promise<Operations> => {
    const operations = await openOperations({ ...site.session, ...changes });
    onTestFinished(() => operations.close());
    return operations;
  };
  return {
    ...site,
    operations: await reopen(),
    reopen,
    async backupDirectory() {
      const catalog = await site.context.catalog("read");
      return join(site.repositoryDirectory, catalog.list({ limit: 1 }).backups[0]?.storagePath ?? "");
    },
  };
}

/** Operations over the same site whose storages break as `plan` says. */
export function withFaults(site: OpenSite, plan: (storage: FaultyStorage) => void): Promise<Operations> {
  return withStorages(site, (storage) => {
    const faulty = faultyStorage(storage);
    plan(faulty);
    return faulty;
  });
}

/** Operations over the same site whose storages are what `change` makes of them. */
export function withStorages(
  site: OpenSite,
  change: (storage: Storage) => Storage | Promise<Storage>,
): Promise<Operations> {
  const { adapters } = site.session;
  const local = adapters.storages.local;
  if (local === undefined) throw new Error("no local storage");
  const changed: StorageDefinition = {
    ...local,
    open: async (options, context) => change(await local.open(options, context)),
  };
  return site.reopen({ adapters: { ...adapters, storages: { ...adapters.storages, local: changed } } });
}

/** Operations over the same site, of which one engine is changed. */
export function withEngine(
  { session, reopen }: OpenSite,
  name: string,
  change: { readonly definition?: Partial<EngineDefinition>; readonly engine?: (engine: Engine) => Engine },
): Promise<Operations> {
  const { adapters } = session;
  const definition = adapters.engines[name];
  if (definition === undefined) throw new Error(`no engine ${name}`);
  const open: EngineDefinition["open"] = async (options, tools) => {
    const engine = await definition.open(options, tools);
    return change.engine?.(engine) ?? engine;
  };
  const changed = { ...definition, ...change.definition, open };
  return reopen({ adapters: { ...adapters, engines: { ...adapters.engines, [name]: changed } } });
}

function fillWww(site: Site): void {
  const www = join(site.directory, "www");
  mkdirSync(join(www, "uploads"), { recursive: true });
  writeFileSync(join(www, "index.html"), "<h1>hello</h1>");
  writeFileSync(join(www, "uploads/large.bin"), randomBytes(3 * 1024 * 1024));
  writeFileSync(join(www, "uploads/small.txt"), "small");
}

/** One more file, so that the next incremental has something new. */
export function addFile(site: Site, name = `new-${randomBytes(4).toString("hex")}`, bytes = 100_000): void {
  writeFileSync(join(site.directory, "www", name), randomBytes(bytes));
}

export async function createOne(
  site: Site,
  request: Partial<CreateRequest> = {},
): Promise<NonNullable<CreateResult["backup"]>> {
  const { backup } = await site.create(request);
  if (backup === undefined) throw new Error("no backup was made");
  return backup;
}

export const OTHER_REPOSITORY = "11111111-2222-4333-8444-555555555555";

/** Puts another disk in the place of a storage's folder: one with a repository of its own, without backups. */
export function swapRepository(folder: string): void {
  renameSync(folder, `${folder}.unplugged`);
  mkdirSync(folder);
  const marker = { repositoryId: OTHER_REPOSITORY, created: "2026-01-01T00:00:00.000Z" };
  writeFileSync(join(folder, MARKER_NAME), encodeRepositoryMarker(marker));
}

/** Keys of everything in the repository that belongs to backups. */
export function objectsIn(site: Site): readonly string[] {
  return readdirSync(site.repositoryDirectory, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(site.repositoryDirectory.length + 1))
    .filter((key) => key.split("/").length === 5);
}
