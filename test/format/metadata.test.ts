import { createHash, createHmac } from "node:crypto";
import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { BackupMetadata } from "../../src/domain/backup.ts";
import { BackupctlError } from "../../src/errors.ts";
import { canonicalJson } from "../../src/format/canonical-json.ts";
import { decodeMetadata, encodeMetadata, requirePlace, verifyMac } from "../../src/format/metadata.ts";
import { backupId, metadataOf, REPOSITORY_ID, sourceOf } from "../domain/builders.ts";
import { anyMetadata } from "../helpers/arbitrary-metadata.ts";

const full = metadataOf({ id: backupId(1) });
const metadata = metadataOf({
  id: backupId(2),
  at: "2026-01-12T02:00:00.000Z",
  mode: "incremental",
  category: "incremental",
  parent: full,
  sources: [sourceOf("app"), sourceOf("shop", { status: "failed", error: { code: "TOOL_FAILED", message: "exit 1" } })],
  overrides: {
    tags: ["before-deploy"],
    description: "größer",
    warnings: ["one"],
    retention_until: "2026-01-19T02:00:00.000Z",
  },
});
const macKey = Buffer.alloc(32, 5);
const WHERE = "database/incremental/x";

function altered(change: (content: Record<string, unknown>) => void): Buffer {
  const content = JSON.parse(encodeMetadata(metadata, macKey).toString());
  change(content);
  return Buffer.from(JSON.stringify(content));
}

it("comes back as it was written, and is the same bytes every time", () => {
  const bytes = encodeMetadata(metadata, macKey);
  const shuffled: BackupMetadata = { ...metadata, ...Object.fromEntries(Object.entries(metadata).reverse()) };

  expect(decodeMetadata(bytes, WHERE).metadata).toEqual(metadata);
  expect(encodeMetadata(shuffled, macKey).equals(bytes)).toBe(true);
  expect(Object.keys(JSON.parse(bytes.toString())).at(-1)).toBe("mac");
});

it("comes back as it was written, and is proven, whatever it says", () => {
  fc.assert(
    fc.property(anyMetadata, fc.boolean(), (given, withKey) => {
      const key = withKey ? macKey : undefined;

      const decoded = decodeMetadata(encodeMetadata(given, key), WHERE);

      expect(decoded.metadata).toEqual(given);
      expect([verifyMac(decoded, key), verifyMac(decoded, withKey ? undefined : macKey)]).toEqual([true, false]);
      const place = { storagePath: given.storage_path, repositoryId: given.repository_id, id: given.id };
      expect(() => requirePlace(decoded.metadata, place)).not.toThrow();
    }),
  );
});

describe("the mac", () => {
  it("is an HMAC over the canonical JSON of the rest, or a hash of it without a key", () => {
    const text = canonicalJson(metadata);
    const keyed = decodeMetadata(encodeMetadata(metadata, macKey), WHERE);
    const plain = decodeMetadata(encodeMetadata(metadata, undefined), WHERE);

    expect(keyed.mac).toBe(`hmac-sha256:${createHmac("sha256", macKey).update(text).digest("hex")}`);
    expect(plain.mac).toBe(`sha256:${createHash("sha256").update(text).digest("hex")}`);
    expect([verifyMac(keyed, macKey), verifyMac(plain, undefined)]).toEqual([true, true]);
  });

  it("of the other kind never counts", () => {
    expect(verifyMac(decodeMetadata(encodeMetadata(metadata, undefined), WHERE), macKey)).toBe(false);
    expect(verifyMac(decodeMetadata(encodeMetadata(metadata, macKey), WHERE), undefined)).toBe(false);
    expect(verifyMac(decodeMetadata(encodeMetadata(metadata, macKey), WHERE), Buffer.alloc(32, 6))).toBe(false);
  });

  it("fits nothing that has no canonical text", () => {
    const halved = altered((content) => {
      content.host = "\ud800";
    });

    expect(verifyMac(decodeMetadata(halved, WHERE), macKey)).toBe(false);
  });

  it("does not cover a signature, and nothing else escapes it", () => {
    const signed = altered((content) => {
      content.signature = "ed25519:abc";
    });
    const retagged = altered((content) => {
      content.tags = [];
    });

    expect(verifyMac(decodeMetadata(signed, WHERE), macKey)).toBe(true);
    expect(verifyMac(decodeMetadata(retagged, WHERE), macKey)).toBe(false);
  });
});

describe("damaged metadata is refused, naming what is wrong", () => {
  const set = (name: string, value: unknown) => (content: Record<string, unknown>) => {
    content[name] = value;
  };

  it.each<[string, (content: Record<string, unknown>) => void, string]>([
    ["no mac", (content) => Reflect.deleteProperty(content, "mac"), "it has no mac"],
    ["a mac of another kind", set("mac", "md5:00"), "it has no mac"],
    ["no id", (content) => Reflect.deleteProperty(content, "id"), "id: "],
    ["a type that is a path", set("type", "../x"), "type: not a name"],
    ["a category of its own", set("category", "hourly"), "category: "],
    ["an inexact size", set("size", 2 ** 53), "size: "],
    ["a negative size", set("stored_size", -1), "stored_size: "],
    ["a time that is none", set("timestamp", "yesterday"), "timestamp: "],
    ["a time with an offset", set("completed_at", "2026-01-12T03:00:00+01:00"), "completed_at: "],
    ["a directory that is none", set("storage_path", "../../etc"), "storage_path: not a backup directory"],
    [
      "another backup's directory",
      set("storage_path", full.storage_path),
      "storage_path: is the directory of another backup",
    ],
    ["another parent", set("parent_id", backupId(9)), "parent_id: is not the last ancestor"],
    ["no lineage", set("lineage", []), "lineage: "],
    ["a lineage of others", set("lineage", full.lineage), "lineage: does not end with this backup"],
    [
      "a lineage with a backup twice",
      set("lineage", metadata.lineage.toSpliced(0, 0, ...metadata.lineage)),
      "lineage: ",
    ],
    ["a source twice", set("sources", [sourceOf("app"), sourceOf("app")]), "sources: names a source twice"],
    ["a source name with a slash", set("sources", [sourceOf("a/b")]), "sources.0.name: not a name"],
    ["encryption without a key", set("key_id", null), "encrypted: is encrypted but names no key"],
    [
      "an artifact of another source",
      set("sources", [sourceOf("app", { data: { artifact_id: "0".repeat(32), name: "shop.pgdump.zst", packs: [] } })]),
      "sources.0.data.name: belongs to another artifact",
    ],
    [
      "a pack beyond the limit",
      set("sources", [
        sourceOf("app", { data: { artifact_id: "0".repeat(32), name: "app.pgdump.zst", packs: [2 ** 25 + 1] } }),
      ]),
      "sources.0.data.packs.0: ",
    ],
  ])("%s", (_what, change, message) => {
    expect(() => decodeMetadata(altered(change), WHERE)).toThrow(
      expect.objectContaining({
        code: "BACKUP_CORRUPTED",
        message: expect.stringMatching(
          new RegExp(`^metadata\\.json of ${WHERE} is damaged: .*${message.replaceAll(".", "\\.")}`),
        ),
      }),
    );
  });

  it("an ancestor without a checksum", () => {
    const bytes = altered((content) => {
      content.lineage = metadata.lineage.map(({ id, path }) => ({ id, path }));
    });

    expect(() => decodeMetadata(bytes, WHERE)).toThrow(expect.objectContaining({ code: "BACKUP_CORRUPTED" }));
  });

  it.each([
    ["nothing", Buffer.alloc(0)],
    ["a cut file", encodeMetadata(metadata, macKey).subarray(0, 300)],
    ["a list", Buffer.from("[]")],
    ["null", Buffer.from("null")],
    ["bytes that are no text", Buffer.from([0x7b, 0xff, 0x7d])],
    ["only a prototype", Buffer.from('{"__proto__":{"version":1}}')],
  ])("%s", (_what, bytes) => {
    expect(() => decodeMetadata(bytes, WHERE)).toThrow(expect.objectContaining({ code: "BACKUP_CORRUPTED" }));
  });
});

it.each([
  ["another version", "version", 2],
  ["members of a later release", "new_member", true],
])("with %s is not understood, rather than damaged", (_what, name, value) => {
  const bytes = altered((content) => {
    content[name] = value;
  });

  expect(() => decodeMetadata(bytes, WHERE)).toThrow(
    expect.objectContaining({ code: "UNSUPPORTED_FORMAT", hint: expect.any(String) }),
  );
});

it("is not written if it could not be read back", () => {
  expect(() => encodeMetadata({ ...metadata, size: -1 }, macKey)).toThrow();
  expect(() => encodeMetadata({ ...metadata, lineage: [] }, macKey)).toThrow();
});

describe("the place it was read from", () => {
  const place = { storagePath: metadata.storage_path, repositoryId: REPOSITORY_ID, id: metadata.id };

  it("is the one it names", () => {
    expect(() => requirePlace(metadata, place)).not.toThrow();
  });

  it.each([
    ["another directory", { storagePath: full.storage_path }],
    ["another repository", { repositoryId: "5f0c1c3e-0000-4000-8000-000000000000" }],
    ["another id", { id: backupId(3) }],
  ])("is not %s", (_what, change) => {
    expect(() => requirePlace(metadata, { ...place, ...change })).toThrow(
      expect.objectContaining({ code: "BACKUP_CORRUPTED" }),
    );
  });
});

it("never ends in anything but an expected error, whatever a member contains", () => {
  const content = JSON.parse(encodeMetadata(metadata, macKey).toString());
  fc.assert(
    fc.property(fc.constantFrom(...Object.keys(content)), fc.jsonValue(), (name, value) => {
      try {
        decodeMetadata(Buffer.from(JSON.stringify({ ...content, [name]: value })), WHERE);
      } catch (error) {
        expect(error).toBeInstanceOf(BackupctlError);
      }
    }),
    { numRuns: 500 },
  );
});
