import { rmSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { BackupId } from "../../../src/domain/backup.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { findFrozen, thaw } from "../../../src/operations/copies/frozen.ts";
import type { Operations } from "../../../src/operations/operations.ts";
import { changed } from "../../../src/storage/resilient/changed.ts";
import type { OperationOptions, Storage } from "../../../src/storage/storage.ts";
import { type ColdKeys, coldStorage } from "../../helpers/cold-storage.ts";
import { faultyStorage } from "../../helpers/faulty-storage.ts";
import { memoryStorage } from "../../helpers/memory-storage.ts";
import { createOne, objectsIn, openSite, withStorages } from "../../helpers/open-site.ts";
import { download, restore } from "../restore/tools.ts";

const QUESTIONS = ["warmth", "thaw"] as const;

/** Of a storage that never answers this question about what is cold; `asked` is told of it. */
function mute(inner: Storage, question: (typeof QUESTIONS)[number], asked: () => void): Storage {
  if (inner.cold === undefined) throw new Error("nothing is cold there");
  const never = (_: string, options?: OperationOptions): Promise<never> =>
    new Promise((_, reject) => {
      options?.signal?.addEventListener("abort", () => reject(options.signal?.reason));
      asked();
    });
  return changed(inner, { cold: { ...inner.cold, [question]: never } });
}

/** A backup whose packs are frozen in `local`; `storages` are those that it was made in. */
async function frozenSite(storages: readonly string[]) {
  const stopping = new AbortController();
  const site = await openSite({ replica: true, signal: stopping.signal });
  const { id } = await createOne(site, { storages });
  const packs = objectsIn(site).filter((key) => /www\.tree\.zst\.enc\.\d{8}$/.test(key));
  const keys: ColdKeys = new Map(packs.map((key) => [key, "frozen"]));
  const whichNeverAnswers = (question: (typeof QUESTIONS)[number]): Promise<Operations> =>
    withStorages(site, (storage) => {
      if (storage.name !== "local") return storage;
      return mute(coldStorage(storage, keys), question, () => stopping.abort(new Error("stopped")));
    });
  return { site, id, packs, whichNeverAnswers };
}

const READ = { all: false, deep: false, quick: false, components: [] };
const READERS: Record<string, (operations: Operations, reference: BackupId, to: string) => Promise<unknown>> = {
  restore: (operations, reference, to) => restore(operations, { reference, to }),
  download: (operations, reference, to) => download(operations, { reference, to }),
  verify: (operations, reference) => operations.verify({ ...READ, reference, storage: "local" }),
  replicate: (operations, reference) =>
    operations.replicate({ reference, from: "local", to: ["second"], dryRun: false, lockWaitMs: 0 }),
};

describe.each(QUESTIONS)("a signal is heard while a storage never answers a %s", (question) => {
  it.each(Object.keys(READERS))("of %s", async (name) => {
    const { site, id, whichNeverAnswers } = await frozenSite(["local"]);

    const reading = READERS[name]?.(await whichNeverAnswers(question), id, join(site.directory, "to"));

    await expect(reading).rejects.toThrow("stopped");
  });

  it("of a repair", async () => {
    const { site, id, packs, whichNeverAnswers } = await frozenSite(["local", "second"]);
    rmSync(join(site.directory, "replica", packs[0] ?? ""));

    const mending = (await whichNeverAnswers(question)).verify({
      ...READ,
      reference: id,
      storage: "second",
      repair: true,
    });

    await expect(mending).rejects.toThrow("stopped");
  });
});

describe("what is frozen", () => {
  const keys = ["a/b/pack-1", "a/b/pack-2"];

  async function looking(storages: Readonly<Record<string, Storage>>) {
    const { context } = await openSite();
    const repository = await context.repository();
    const storage = async (name: string): Promise<Storage> => storages[name] ?? repository.storage(name);
    return (signal = new AbortController().signal) =>
      findFrozen({ ...repository, storage }, { storages: Object.keys(storages), keys, signal });
  }

  it("is not waited for in a listing that never comes once a signal came", async () => {
    const stopping = new AbortController();
    const find = await looking({ one: faultyStorage(coldStorage(memoryStorage())).onCall("list", "every").hang() });

    const finding = find(stopping.signal);
    stopping.abort(new Error("stopped"));

    await expect(finding).rejects.toThrow("stopped");
  });

  it("is asked for though no catalog takes when, and that is said", async () => {
    const { session, warnings } = await openSite();
    const states: ColdKeys = new Map(keys.map((key) => [key, "frozen"]));
    const storage = coldStorage(memoryStorage(), states);
    const objects = keys.map((key) => ({ key, sizeBytes: 1, state: "frozen" as const, thawMs: 1_000 }));
    const catalogThatThrows = (error: Error) => ({ session, catalog: () => Promise.reject(error) });

    await thaw({ storage, objects }, catalogThatThrows(new BackupctlError("CATALOG_FAILED", "it is locked")));

    expect([...states.values()]).toEqual(["thawing", "thawing"]);
    expect(warnings).toEqual([`when storage "${storage.name}" was asked for a thaw is not recorded: it is locked`]);
    const mistaken = thaw({ storage, objects }, catalogThatThrows(new Error("a mistake")));
    await expect(mistaken).rejects.toThrow("a mistake");
  });

  it("is looked for in the other copies where one is away, and nowhere after a failure that is none of a storage", async () => {
    const gone = new BackupctlError("STORAGE_FAILED", "the line is cut");
    const broken = (error: Error): Storage => faultyStorage(memoryStorage()).onCall("list", "every").fail(error);
    const cold = coldStorage(memoryStorage(), new Map(keys.map((key) => [key, "frozen"])));
    for (const key of keys) await cold.put(key, Buffer.from(key));

    const found = await (await looking({ one: broken(gone), two: cold }))();

    expect(found.flatMap(({ storage, objects }) => objects.map(({ key }) => [storage, key]))).toEqual(
      keys.map((key) => [cold, key]),
    );
    await expect((await looking({ one: broken(new Error("a mistake")), two: cold }))()).rejects.toThrow("a mistake");
  });
});
