import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { expect } from "vitest";
import { BackupctlError } from "../../../src/errors.ts";
import type { Operations, ReplicateRequest, ReplicateResult } from "../../../src/operations/operations.ts";
import type { FaultyStorage } from "../../helpers/faulty-storage.ts";
import { addFile, createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";

export const away = new BackupctlError("STORAGE_FAILED", "the line is cut");
export const ALL: ReplicateRequest = { to: [], dryRun: false, lockWaitMs: 0 };
export const QUICK = { all: false, deep: false, quick: false, components: [] };

/** The SHA-256 of each object of backups in a storage, by key. */
export function hashesIn(site: OpenSite, folder: string): Readonly<Record<string, string>> {
  const root = join(site.directory, folder);
  const keys = readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name).slice(root.length + 1))
    .filter((key) => key.split("/").length === 5);
  const hash = (key: string) =>
    createHash("sha256")
      .update(readFileSync(join(root, key)))
      .digest("hex");
  return Object.fromEntries(keys.sort().map((key) => [key, hash(key)]));
}

/** The path of an object of the newest backup in the folder of a storage. */
export async function objectOf(site: OpenSite, folder: string, name: RegExp): Promise<string> {
  const { metadata } = await site.operations.show("latest");
  const directory = join(site.directory, folder, metadata?.storage_path ?? "");
  const found = readdirSync(directory).find((each) => name.test(each));
  return join(directory, found ?? "nothing");
}

/** A site with a full backup and an incremental one, of which the replica has nothing yet. */
export async function behindSite(options: Parameters<typeof openSite>[0] = {}): Promise<OpenSite> {
  const site = await openSite({ replica: true, ...options });
  await createOne(site, { storages: ["local"] });
  addFile(site);
  await createOne(site, { storages: ["local"], mode: "incremental" });
  return site;
}

export function withoutKeys({ session: { loaded }, reopen }: OpenSite): Promise<Operations> {
  const encryption = { ...loaded.config.encryption, enabled: false, keys: [] };
  return reopen({ loaded: { ...loaded, config: { ...loaded.config, encryption } } });
}

export function only(name: string, plan: (storage: FaultyStorage) => void) {
  return (storage: FaultyStorage): void => {
    if (storage.name === name) plan(storage);
  };
}

export function of(result: ReplicateResult, name: string) {
  const found = result.storages.find((storage) => storage.name === name);
  if (found === undefined) throw new Error(`nothing is said of ${name}`);
  return found;
}

export const expectSame = (site: OpenSite) => expect(hashesIn(site, "replica")).toEqual(hashesIn(site, "repository"));

/** Every backup of which the replica has metadata.json is whole there, ancestors and all. */
export async function expectWhole(site: OpenSite): Promise<void> {
  const there = Object.keys(hashesIn(site, "replica")).filter((key) => key.endsWith("/metadata.json"));
  const operations = await site.reopen();
  for (const { id } of (await operations.list({ limit: 10, offset: 0 })).backups) {
    if (!there.some((key) => key.includes(id.slice(0, 8)))) continue;
    const { backups } = await operations.verify({ ...QUICK, reference: id, storage: "second" });
    expect(backups.flatMap(({ issues }) => issues)).toEqual([]);
  }
  await operations.close();
}
