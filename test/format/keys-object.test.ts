import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import { keyId, makeDataKey } from "../../src/format/data-key.ts";
import {
  buildKeysObject,
  keysObjectDefect,
  lockedWraps,
  openKeysObjects,
  type WrappingKey,
} from "../../src/format/keys-object.ts";
import { backupId } from "../domain/builders.ts";

const id = backupId(1);
const dataKey = makeDataKey();
const wanted = { backupId: id, keyId: keyId(dataKey, id) };

/** A provider that knows its own wraps by a number in the parameters, as real ones do by a fingerprint or a salt. */
function key(name: string, byte: number, provider = "local"): WrappingKey {
  return {
    provider,
    name,
    seal: async () => ({ secret: Buffer.alloc(32, byte), parameters: { number: byte } }),
    open: async (parameters) => (parameters.number === byte ? Buffer.alloc(32, byte) : undefined),
  };
}

function failing(name: string, error: Error): WrappingKey {
  return { ...key(name, 0), open: () => Promise.reject(error) };
}

async function sealedFor(...providers: readonly WrappingKey[]) {
  return buildKeysObject({ n: 0, backupId: id, dataKey, providers });
}

const laptop = key("laptop", 1);
const safe = key("safe", 2, "passphrase");

describe("a data key", () => {
  it("opens with each of the keys that it was sealed for", async () => {
    const object = await sealedFor(laptop, safe);

    expect(object.name).toMatch(/^keys-0-[0-9a-f]{8}\.json$/);
    expect(object.keyId).toBe(wanted.keyId);
    for (const provider of [laptop, safe]) {
      const opened = await openKeysObjects([object], wanted, [provider]);
      expect(opened).toEqual({ dataKey, name: object.name, keyName: provider.name, problems: [] });
    }
  });

  it("opens after its key was renamed in the config", async () => {
    const object = await sealedFor(laptop);

    expect((await openKeysObjects([object], wanted, [key("other", 9), key("renamed", 1)])).keyName).toBe("renamed");
  });

  it("opens with another key when one can't be read", async () => {
    const broken = failing("laptop", new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", "key file /k is missing"));
    const object = await sealedFor(laptop, safe);

    expect((await openKeysObjects([object], wanted, [broken, safe])).keyName).toBe("safe");
  });

  it("is taken from the first by name of two that have the same number, in whatever order they are listed", async () => {
    const [first, second] = [await sealedFor(laptop), await sealedFor(laptop)];
    const names = [first.name, second.name].sort();

    for (const objects of [
      [first, second],
      [second, first],
    ])
      expect((await openKeysObjects(objects, wanted, [laptop])).name).toBe(names[0]);
  });

  it("is taken from the highest number that opens", async () => {
    const older = await buildKeysObject({ n: 9, backupId: id, dataKey, providers: [laptop] });
    const newer = await buildKeysObject({ n: 10, backupId: id, dataKey, providers: [laptop, safe] });

    expect((await openKeysObjects([older, newer], wanted, [laptop])).name).toBe(newer.name);
    const rotatedAway = await buildKeysObject({ n: 11, backupId: id, dataKey, providers: [safe] });
    expect((await openKeysObjects([older, rotatedAway], wanted, [laptop])).name).toBe(older.name);
  });

  it("is found beside objects that are damaged or foreign, which are reported", async () => {
    const sound = await sealedFor(laptop);
    const damaged = { name: "keys-5-00000000.json", bytes: Buffer.from("{") };
    const foreign = await buildKeysObject({ n: 4, backupId: backupId(2), dataKey, providers: [laptop] });
    const otherKey = await buildKeysObject({ n: 3, backupId: id, dataKey: makeDataKey(), providers: [laptop] });

    const opened = await openKeysObjects([damaged, foreign, otherKey, sound], wanted, [laptop]);

    expect(opened.dataKey).toEqual(dataKey);
    expect(opened.problems).toEqual([
      expect.stringContaining("keys-5-00000000.json is damaged"),
      expect.stringContaining(`belongs to backup ${backupId(2)}`),
      expect.stringContaining("belongs to another data key"),
    ]);
  });
});

describe("without a fitting key", () => {
  it("the error names the keys wanted and those configured", async () => {
    const object = await sealedFor(laptop, safe);

    await expect(openKeysObjects([object], wanted, [key("ci", 7)])).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_NOT_FOUND",
      exitCode: 12,
      message: `no configured key opens backup ${id}: ${object.name} is sealed for laptop (local), safe (passphrase), configured: ci (local)`,
    });
    await expect(openKeysObjects([object], wanted, [])).rejects.toThrow("configured: none");
  });

  it("the error says why a configured one did not open", async () => {
    const object = await sealedFor(laptop);
    const broken = failing("laptop", new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", "key file /k is missing"));
    const wrong = { ...laptop, open: async () => Buffer.alloc(32, 99) };

    await expect(openKeysObjects([object], wanted, [broken])).rejects.toThrow(
      "key laptop (local): key file /k is missing",
    );
    await expect(openKeysObjects([object], wanted, [wrong])).rejects.toThrow(
      "key laptop (local) does not open the wrap",
    );
  });

  it("is not looked for without end where the wraps that should open do not", async () => {
    const { name, bytes } = await sealedFor(laptop);
    const content = JSON.parse(bytes.toString("utf8"));
    const [wrap] = content.wraps;
    content.wraps = Array.from({ length: 256 }, (_, number) => ({ ...wrap, parameters: { number } }));
    let derived = 0;
    const derive = async (): Promise<Buffer> => {
      derived += 1;
      return Buffer.alloc(32, 100 + derived);
    };
    const costly: WrappingKey = { ...laptop, open: derive };
    const objects = [1, 2, 3].map((n) => ({
      name: `keys-${n}-00000000.json`,
      bytes: Buffer.from(JSON.stringify(content)),
    }));

    await expect(openKeysObjects([...objects, { name, bytes }], wanted, [costly])).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("24 times"),
    });
    expect(await lockedWraps(objects, wanted, [costly])).toHaveLength(24);
    expect(derived).toBe(48);
  });

  it("a bug in a provider is not taken for a missing key", async () => {
    const object = await sealedFor(laptop);

    await expect(openKeysObjects([object], wanted, [failing("laptop", new TypeError("oops"))])).rejects.toThrow(
      TypeError,
    );
  });
});

describe("damaged keys objects", () => {
  it("are corruption when there is no sound one", async () => {
    await expect(openKeysObjects([], wanted, [laptop])).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("it has no keys object"),
    });
    await expect(
      openKeysObjects([{ name: "keys-0-00000000.json", bytes: Buffer.from("[]") }], wanted, [laptop]),
    ).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("keys-0-00000000.json is damaged"),
    });
  });

  it("are told from sound ones without any key", async () => {
    const sound = await sealedFor(laptop);

    expect(keysObjectDefect(sound, wanted)).toBeUndefined();
    expect(keysObjectDefect({ ...sound, bytes: sound.bytes.subarray(1) }, wanted)).toContain("is not JSON");
    expect(keysObjectDefect(sound, { ...wanted, backupId: backupId(2) })).toContain(`belongs to backup ${id}`);
  });

  it("never end in anything but an expected error, whatever they contain", async () => {
    const sound = JSON.parse((await sealedFor(laptop)).bytes.toString());
    const members = fc.constantFrom("version", "backup_id", "key_id", "wraps");

    await fc.assert(
      fc.asyncProperty(members, fc.jsonValue(), async (member, value) => {
        const bytes = Buffer.from(JSON.stringify({ ...sound, [member]: value }));
        const outcome = await openKeysObjects([{ name: "keys-0-00000000.json", bytes }], wanted, [laptop]).catch(
          (error) => error,
        );
        expect(outcome).toBeInstanceOf(BackupctlError);
      }),
    );
  });

  it.each([
    ["of a length in place of a list", '{"length":', "}"],
    ["in a list", "[", "]"],
  ])("of more levels than a stack has are corruption: %s", async (_what, before, after) => {
    const deep = `${"[".repeat(20_000)}${"]".repeat(20_000)}`;
    const text = `{"version":1,"backup_id":"${id}","key_id":"${wanted.keyId}","wraps":${before}${deep}${after}}`;

    await expect(
      openKeysObjects([{ name: "keys-00000001-0123.json", bytes: Buffer.from(text) }], wanted, [key("main", 1)]),
    ).rejects.toMatchObject({ code: "BACKUP_CORRUPTED", message: expect.stringContaining("64 levels") });
  });

  it("with a changed wrap do not open", async () => {
    const object = await sealedFor(laptop);
    const content = JSON.parse(object.bytes.toString());
    content.wraps[0].name = "other";
    const changed = { name: object.name, bytes: Buffer.from(JSON.stringify(content)) };

    await expect(openKeysObjects([changed], wanted, [laptop])).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_NOT_FOUND",
    });
  });
});

describe("a wrap that its own key does not open", () => {
  const other = { ...safe, open: async () => Buffer.alloc(32, 7) };
  const unreadable = failing("laptop", new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", "key file /k is missing"));
  const malformed = failing("laptop", new BackupctlError("BACKUP_CORRUPTED", "scrypt parameter n is 3"));

  it("is named with its object, whichever other key opens the backup", async () => {
    const object = await sealedFor(laptop, safe);

    expect(await lockedWraps([object], wanted, [laptop, safe])).toEqual([]);
    expect(await lockedWraps([object], wanted, [laptop, other])).toEqual([
      { object: object.name, keyName: "safe", provider: "passphrase" },
    ]);
    expect(await lockedWraps([object], wanted, [malformed])).toMatchObject([{ keyName: "laptop" }]);
  });

  it("is not looked for where that key is not configured or can't be read, or the object is damaged", async () => {
    const object = await sealedFor(laptop, safe);

    expect(await lockedWraps([object], wanted, [unreadable, key("safe", 9), key("safe", 9, "passphrase")])).toEqual([]);
    expect(await lockedWraps([{ ...object, bytes: Buffer.from("{") }], wanted, [other])).toEqual([]);
  });

  it("is no matter of errors that nobody expects", async () => {
    const object = await sealedFor(laptop);

    await expect(lockedWraps([object], wanted, [failing("laptop", new Error("bug"))])).rejects.toThrow("bug");
  });
});
