import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { Operations } from "../../src/operations/operations.ts";
import { flipped } from "../helpers/bytes.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import {
  type FixtureBackup,
  type FixtureSite,
  KEYLESS,
  openFixtureSite,
  REPOSITORIES,
  type Restored,
} from "./fixture-site.ts";

type Change = (bytes: Buffer) => Buffer | undefined;

/** Damage that looks like something else to who reads the storage alone: a deletion, a newer release, a backup without key, another key. */
const OF_METADATA: readonly (readonly [string, Change])[] = [
  ["is gone", () => undefined],
  ["is empty", () => Buffer.alloc(0)],
  ["says another version", (bytes) => Buffer.from(String(bytes).replace('"version": 1', '"version": 3'))],
  ["says another key", (bytes) => Buffer.from(String(bytes).replace(/"key_id": "./, '"key_id": "'))],
  ["has a member more", (bytes) => Buffer.from(String(bytes).replace("{", '{"more": 1,'))],
];

const OF_KEYS: readonly (readonly [string, Change])[] = [
  ["is gone", () => undefined],
  ["is cut", (bytes) => bytes.subarray(0, 100)],
  ["has a changed wrap", (bytes) => flipped(bytes, (bytes.indexOf('"ciphertext": "') + 20) * 8)],
];

describe.each(REPOSITORIES)("in %s", (name) => {
  const directory = suiteTempDir();
  let site: FixtureSite;
  let full: FixtureBackup;
  let last: FixtureBackup;
  let sound: Restored;
  beforeAll(async () => {
    site = await openFixtureSite(name, directory);
    const [first] = site.backups;
    const [newest] = site.backups.slice(-1);
    if (first === undefined || newest === undefined) throw new Error("there are no backups");
    full = first;
    last = newest;
    sound = await site.withDamage((operations) => site.restore(operations, last));
  });
  afterAll(() => expect(sound).toMatchObject({ error: undefined, warnings: [] }));

  const keyOf = ({ directory: path }: FixtureBackup, object: string): string | undefined =>
    [...site.objects.keys()].find((key) => key.startsWith(`${path}/${object}`));

  /** Verifies the newest backup, and restores it with and without what is damaged. */
  async function look(key: string, change: Change) {
    const bytes = change(site.objects.get(key) ?? Buffer.alloc(0));
    const run = <T>(use: (operations: Operations) => Promise<T>): Promise<T> =>
      site.withDamage((operations) => {
        site.store(key, bytes);
        return use(operations);
      });
    const request = { reference: last.id, all: false, deep: false, quick: false, components: [] };
    const verified = await run((operations) => operations.verify(request));
    const whole = await run((operations) => site.restore(operations, last));
    const rest = await run((operations) => site.restore(operations, last, { skipDamaged: true }));
    return { verified, whole, rest };
  }

  const refusal = { isUntouched: true, error: { code: "BACKUP_CORRUPTED", exitCode: 4 } };

  // Only what is there can be changed: an open repository has no keys.
  const ofMetadata = OF_METADATA.filter(([what]) => what !== "says another key" || !KEYLESS.includes(name));
  const ofKeys = KEYLESS.includes(name) ? [] : OF_KEYS;

  it.each(ofMetadata)("metadata.json that %s is damage, since the catalog knows better", async (_, change) => {
    const key = keyOf(last, "metadata.json") ?? "";

    const { verified, whole, rest } = await look(key, change);

    expect(verified).toMatchObject({ passed: false });
    expect(verified.backups[0]?.issues.join("\n")).toContain("metadata.json");
    expect(whole).toMatchObject(refusal);
    expect(String(whole.error)).toContain(last.directory);
    // All else is proven by what the catalog knows.
    expect(rest).toMatchObject({ error: undefined, contents: sound.contents });
    expect(rest.warnings.join("\n")).toMatch(new RegExp(`metadata.json.*catalog knows of backup ${last.id}`));
    expect(rest.warnings.join("\n")).toContain(last.directory);
  });

  it.each(ofKeys)("a keys object that %s is damage, and no wrong key", async (_, change) => {
    const key = keyOf(last, "keys-") ?? "";

    const { verified, whole, rest } = await look(key, change);

    expect(verified).toMatchObject({ passed: false });
    expect(verified.backups[0]?.issues.join("\n")).toContain("keys");
    expect(whole).toMatchObject(refusal);
    expect(rest).toMatchObject(refusal);
  });

  it("the catalog stands in for nothing but metadata.json: what else is damaged stays so", async () => {
    const key = keyOf(last, "metadata.json") ?? "";
    const packs = [...site.objects.keys()].filter((name) => name.startsWith(last.directory) && name.includes(".root."));
    expect(packs).not.toEqual([]);

    const rest = await site.withDamage((operations) => {
      site.store(key, undefined);
      for (const pack of packs) site.store(pack, flipped(site.objects.get(pack) ?? Buffer.alloc(0), 801));
      return site.restore(operations, last, { skipDamaged: true });
    });

    expect(rest).toMatchObject(refusal);
  });

  it.each(ofMetadata)("an ancestor whose metadata.json %s keeps nothing from coming back", async (_, change) => {
    const key = keyOf(full, "metadata.json") ?? "";

    const { verified, whole, rest } = await look(key, change);

    expect(verified).toMatchObject({ passed: false });
    if (name.startsWith("sealed")) expect(whole).toMatchObject(refusal);
    // Blocks that are not sealed are proven by the backup's own root: nothing of the ancestor's metadata is needed.
    else {
      expect(whole).toMatchObject({ error: undefined, contents: sound.contents });
      expect(whole.warnings.join("\n")).toMatch(new RegExp(`ancestor ${full.id} is damaged.*metadata.json`));
      expect(whole.warnings.join("\n")).toContain(full.directory);
    }
    expect(rest).toMatchObject({ error: undefined, contents: sound.contents });
  });

  it.each(ofKeys)(
    "an ancestor whose keys object %s keeps only that from coming back which it opens",
    async (_, change) => {
      const key = keyOf(full, "keys-") ?? "";

      const { verified, whole, rest } = await look(key, change);

      expect(verified).toMatchObject({ passed: false });
      if (!name.startsWith("sealed")) return expect(rest).toMatchObject({ error: undefined, contents: sound.contents });
      expect(whole).toMatchObject(refusal);
      expect(String(whole.error)).toMatch(/source ".*keys/);
      for (const source of last.restorable) {
        const entries = rest.contents[source]?.split("\n").filter(Boolean) ?? [];
        expect(sound.contents[source]?.split("\n")).toEqual(expect.arrayContaining(entries));
      }
      if (name === "sealed-zstd") expect(Object.values(rest.contents).join("")).not.toBe("");
    },
  );
});
