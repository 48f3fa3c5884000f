import { describe, expect, it } from "vitest";
import { z } from "zod";
import { macOf } from "../../src/format/mac.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite } from "./fixture-site.ts";

/** What somebody without the key may do to a sealed repository who can write to it; by accident none of it happens. */

const jsonSchema = z.record(z.string(), z.unknown());

function objectsOf(site: FixtureSite, backup: FixtureBackup): readonly string[] {
  return [...site.objects.keys()].filter((key) => key.startsWith(`${backup.directory}/`));
}

function changeMetadata(site: FixtureSite, backup: FixtureBackup, change: (text: string) => string): void {
  const key = `${backup.directory}/metadata.json`;
  const content = jsonSchema.parse(JSON.parse(change(String(site.objects.get(key)))));
  site.store(key, Buffer.from(JSON.stringify({ ...content, mac: macOf(content, undefined) })));
}

function clearCipher(site: FixtureSite, key: string): void {
  const bytes = Buffer.from(site.objects.get(key) ?? "");
  bytes.writeUInt8(0, 5);
  site.store(key, bytes);
}

interface Forgery {
  readonly what: string;
  /** The object, and the source where it is one's. */
  readonly named: RegExp;
  readonly forge: (site: FixtureSite, backup: FixtureBackup, older: FixtureBackup) => void;
}

const FORGERIES: readonly Forgery[] = [
  {
    what: "every root says that it is not encrypted",
    named: /source "(\w+)".*: \1\.\w+\.root\.zst\.enc\.00000000: its cipher is not/,
    forge: (site, backup) => {
      for (const key of objectsOf(site, backup).filter((name) => name.includes(".root."))) clearCipher(site, key);
    },
  },
  {
    what: "a plain backup lies in its place, which proves itself",
    named: /^metadata\.json of \S+-8f9d777b is not authentic/,
    forge: (site, backup) => {
      for (const key of objectsOf(site, backup).filter((name) => name.includes(".enc."))) {
        site.store(key.replace(".enc.", "."), site.objects.get(key));
        clearCipher(site, key);
        site.store(key, undefined);
      }
      changeMetadata(site, backup, (text) =>
        text
          .replace('"encrypted": true', '"encrypted": false')
          .replace('"AES-256-GCM"', "null")
          .replace(/"key_id": "\w+"/, '"key_id": null')
          .replaceAll(".enc", ""),
      );
    },
  },
  {
    what: "its metadata were changed and hashed anew",
    named: /^metadata\.json of \S+-8f9d777b is not authentic/,
    forge: (site, backup) => changeMetadata(site, backup, (text) => text.replace('"host": "', '"host": "x')),
  },
  {
    what: "an older backup lies in its place",
    named: /^metadata\.json of \S+-8f9d777b says storage path/,
    forge: (site, backup, older) => {
      for (const key of objectsOf(site, backup)) site.store(key, undefined);
      for (const key of objectsOf(site, older))
        site.store(key.replace(older.directory, backup.directory), site.objects.get(key));
    },
  },
  {
    what: "its keys are those of an older one",
    named: /keys-1-[0-9a-f]{8}\.json belongs to backup/,
    forge: (site, backup, older) => {
      const [own = ""] = objectsOf(site, backup).filter((key) => key.includes("/keys-"));
      const [others] = objectsOf(site, older).filter((key) => key.includes("/keys-"));
      site.store(own, site.objects.get(others ?? ""));
    },
  },
];

describe("a sealed backup is refused, and nothing written, where", () => {
  it.each(FORGERIES)("$what", async ({ forge, named }) => {
    const site = await openFixtureSite("sealed-zstd", tempDir());
    const [older] = site.backups;
    const backup = site.backups.at(-1);
    if (older === undefined || backup === undefined) throw new Error("there are no backups");

    const { restored, verified } = await site.withDamage(async (operations) => {
      forge(site, backup, older);
      const look = { reference: backup.id, all: false, deep: false, quick: false, components: [] };
      const issues = operations.verify(look).then(({ backups }) => backups.flatMap((result) => result.issues));
      return { verified: await issues, restored: await site.restore(operations, backup) };
    });

    expect(verified).toContainEqual(expect.stringMatching(named));
    expect(restored).toMatchObject({ isUntouched: true, error: { code: "BACKUP_CORRUPTED", exitCode: 4 } });
    expect(restored.error).toMatchObject({ message: expect.stringMatching(named) });
  });
});
