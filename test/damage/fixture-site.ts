import * as fs from "node:fs";
import * as path from "node:path";
import { z } from "zod";
import { type ExpectedBackup, listTree, manifestSchema } from "../../scripts/format-fixtures/manifest.ts";
import { openOperations } from "../../src/operations/open.ts";
import type { Operations } from "../../src/operations/operations.ts";
import type { Session } from "../../src/operations/session.ts";
import { openSession } from "../helpers/site.ts";
import { NOTHING_ASKED } from "../operations/restore/tools.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const manifest = manifestSchema.parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));

export const REPOSITORIES = ["sealed-zstd", "sealed-gzip", "proven-none", "open-zstd", "two-packs"] as const;
export type RepositoryName = (typeof REPOSITORIES)[number];

/** Made with no key configured. */
export const KEYLESS: readonly RepositoryName[] = ["open-zstd", "two-packs"];

/** A database goes to a server, which these tests do without: `download` reads it all the same. */
const DATABASE = "shop";

export interface FixtureBackup extends ExpectedBackup {
  readonly id: string;
  /** Directories of the backups that it is restored from, its own last. */
  readonly lineage: readonly string[];
  /** Those that can be restored to a folder. */
  readonly restorable: readonly string[];
}

/** A copy of a sealed repository, to be damaged and made whole again. */
export interface FixtureSite {
  readonly repository: string;
  readonly configFile: string;
  readonly session: Session;
  readonly backups: readonly FixtureBackup[];
  /** Key and bytes of every object that belongs to a backup, as they were sealed. */
  readonly objects: ReadonlyMap<string, Buffer>;
  /** The object as these bytes; `undefined`: gone. */
  store(key: string, bytes: Uint8Array | undefined): void;
  /** Runs with a catalog that knows every backup from before the damage, then makes all whole again. */
  withDamage<T>(use: (operations: Operations) => Promise<T>): Promise<T>;
  /** Restores sources to a folder each, and says what is there afterwards. */
  restore(
    operations: Operations,
    backup: FixtureBackup,
    options?: { readonly skipDamaged?: boolean; readonly sources?: readonly string[] },
  ): Promise<Restored>;
}

export interface Restored {
  readonly error: unknown;
  /** Of the result, and what was said on the way. */
  readonly warnings: readonly string[];
  /** By source: every entry with its content; empty if nothing is there. */
  readonly contents: Readonly<Record<string, string>>;
  /** The target and its surroundings are as they were. */
  readonly isUntouched: boolean;
}

const metadataSchema = z.looseObject({
  id: z.string(),
  lineage: z.array(z.looseObject({ path: z.string() })),
});

/** `more` are further sections of the configuration. */
export async function openFixtureSite(name: RepositoryName, directory: string, more = ""): Promise<FixtureSite> {
  const repository = path.join(directory, "repository");
  const state = path.join(directory, "state");
  const sound = path.join(directory, "sound-state");
  fs.cpSync(path.join(FIXTURES, name), repository, { recursive: true });
  const config = path.join(directory, "backup.config.yaml");
  const keys = `keys: {main: {provider: local, key: ${manifest.key}}}`;
  const encryption = KEYLESS.includes(name) ? "enabled: false" : keys;
  fs.writeFileSync(
    config,
    `storages: {disk: {type: local, path: ${repository}}}
state_dir: ${state}
workers: 1
encryption: {${name === "proven-none" ? "enabled: false, " : ""}${encryption}}
${more}`,
  );
  const logged: string[] = [];
  const session = await openSession(config, {}, logged);
  const operations = await openOperations(session);
  await operations.rebuildCatalog();
  await operations.close();
  fs.cpSync(state, sound, { recursive: true });

  const objects = readObjects(repository);
  const backups = (manifest.repositories[name] ?? []).map((backup): FixtureBackup => {
    const { id, lineage } = metadataSchema.parse(JSON.parse(String(objects.get(`${backup.directory}/metadata.json`))));
    const restorable = Object.keys(backup.sources).filter((source) => source !== DATABASE);
    return { ...backup, id, lineage: lineage.map((member) => member.path), restorable };
  });

  const store = (key: string, bytes: Uint8Array | undefined): void => {
    const file = path.join(repository, key);
    if (bytes === undefined) fs.rmSync(file);
    else fs.writeFileSync(file, bytes);
  };
  const mend = (): void => {
    const now = readObjects(repository);
    for (const key of now.keys()) if (!objects.has(key)) store(key, undefined);
    for (const [key, bytes] of objects) if (now.get(key)?.equals(bytes) !== true) store(key, bytes);
    fs.rmSync(state, { recursive: true });
    fs.cpSync(sound, state, { recursive: true });
  };
  return {
    repository,
    configFile: config,
    session,
    backups,
    objects,
    store,
    async withDamage(use) {
      const opened = await openOperations(session);
      try {
        return await use(opened);
      } finally {
        await opened.close();
        mend();
      }
    },
    async restore(opened, backup, { skipDamaged = false, sources = backup.restorable } = {}) {
      const around = fs.mkdtempSync(path.join(directory, "target-"));
      const to = path.join(around, "to");
      const request = { ...NOTHING_ASKED, reference: backup.id, to, skipDamaged, sources };
      logged.splice(0);
      let error: unknown;
      let warnings: readonly string[] = [];
      try {
        ({ warnings } = await opened.restore(request, await opened.planRestore(request)));
      } catch (thrown) {
        error = thrown;
      }
      const contents = contentsOf(to, sources);
      const isUntouched = fs.readdirSync(around).length === 0;
      fs.rmSync(around, { recursive: true });
      return { error, warnings: [...warnings, ...logged], contents, isUntouched };
    },
  };
}

/** Objects of backups: they lie five names deep. */
function readObjects(repository: string): Map<string, Buffer> {
  const names = fs.readdirSync(repository, { recursive: true, encoding: "utf8" }).sort();
  const keys = names.filter((name) => name.split("/").length === 5);
  return new Map(keys.map((key) => [key, fs.readFileSync(path.join(repository, key))]));
}

/** One source goes into the folder itself, several into one each. */
export function contentsOf(to: string, sources: readonly string[]): Readonly<Record<string, string>> {
  const found = sources.map((source) => {
    const place = path.join(to, sources.length > 1 ? source : "");
    const listed = fs.existsSync(place) ? listTree(place, ".") : [];
    // A single output is a file in place of the folder.
    const isFolder = fs.statSync(place, { throwIfNoEntry: false })?.isDirectory() === true;
    const entries = isFolder ? listed.slice(1) : listed;
    return [source, entries.map((entry) => JSON.stringify({ ...entry, mtime: undefined })).join("\n")];
  });
  return Object.fromEntries(found);
}
