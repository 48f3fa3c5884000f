import { beforeAll, describe, expect, it } from "vitest";
import { backupIdSchema } from "../../src/domain/metadata-schema.ts";
import { buildKeysObject, openKeysObjects } from "../../src/format/keys-object.ts";
import { openRepository } from "../../src/operations/repository/repository.ts";
import { flipped } from "../helpers/bytes.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite } from "./fixture-site.ts";

/** The catalog knows the keys object that a backup was made with; a wrap whose key is not configured here is proven by nothing else. */
describe("verify, of keys that the configured key opens", () => {
  const directory = suiteTempDir();
  let site: FixtureSite;
  let full: FixtureBackup;
  let last: FixtureBackup;
  /** Made later: another object with the same data key. */
  let later: { readonly name: string; readonly bytes: Buffer };
  beforeAll(async () => {
    site = await openFixtureSite("sealed-zstd", directory);
    const [first] = site.backups;
    const [newest] = site.backups.slice(-1);
    if (first === undefined || newest === undefined) throw new Error("there are no backups");
    [full, last] = [first, newest];
    const { keys, close } = await openRepository(site.session);
    const backupId = backupIdSchema.parse(last.id);
    const object = { name: keysOf(last), bytes: bytesOf(last) };
    const { dataKey } = await openKeysObjects([object], { backupId, keyId: undefined }, keys);
    later = await buildKeysObject({ n: 2, backupId, dataKey, providers: keys });
    await close();
  });

  const keysOf = (backup: FixtureBackup): string =>
    [...site.objects.keys()].find((key) => key.startsWith(`${backup.directory}/keys-`)) ?? "";
  const nameOf = (backup: FixtureBackup): string => keysOf(backup).slice(backup.directory.length + 1);
  const bytesOf = (backup: FixtureBackup): Buffer => site.objects.get(keysOf(backup)) ?? Buffer.alloc(0);
  const flipOtherWrap = (backup: FixtureBackup): void => {
    const bytes = bytesOf(backup);
    site.store(keysOf(backup), flipped(bytes, (bytes.lastIndexOf('"ciphertext": "') + 20) * 8));
  };
  const addLater = (): void => site.store(`${last.directory}/${later.name}`, later.bytes);

  async function issuesWith(change: () => void): Promise<string> {
    const request = { reference: last.id, all: false, deep: false, quick: true, components: [] };
    const { backups } = await site.withDamage((operations) => {
      change();
      return operations.verify(request);
    });
    return backups.flatMap(({ issues }) => issues).join("\n");
  }

  it("finds a changed wrap of a key that is not configured here", async () => {
    const found = await issuesWith(() => flipOtherWrap(last));

    expect(found).toBe(`${last.directory}: its keys (${nameOf(last)}) are not what was written`);
  });

  it("finds it in an ancestor, too", async () => {
    const found = await issuesWith(() => flipOtherWrap(full));

    expect(found).toContain(`ancestor ${full.id}: ${full.directory}: its keys (${nameOf(full)}) are not`);
  });

  it("takes keys that were added later for no damage, nor that they took the place of the first", async () => {
    expect(await issuesWith(() => undefined)).toBe("");
    expect(await issuesWith(addLater)).toBe("");
    const replaced = await issuesWith(() => {
      addLater();
      site.store(keysOf(last), undefined);
    });
    expect(replaced).toBe("");
  });

  it("finds the first damaged beside keys that were added later", async () => {
    const found = await issuesWith(() => {
      addLater();
      flipOtherWrap(last);
    });

    expect(found).toContain(nameOf(last));
  });
});
