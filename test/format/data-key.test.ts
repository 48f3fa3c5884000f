import { createCipheriv, createHmac } from "node:crypto";
import { describe, expect, it } from "vitest";
import {
  artifactKey,
  idBytes,
  keyId,
  makeArtifactId,
  makeDataKey,
  metadataKey,
  openDataKey,
  sealDataKey,
} from "../../src/format/data-key.ts";
import { backupId } from "../domain/builders.ts";

const id = backupId(0x550e8400);
const dataKey = Buffer.alloc(32, 7);
const artifactId = Buffer.alloc(16, 9);

/** RFC 5869 in five lines, to compare with. */
function hkdf(secret: Buffer, salt: Buffer, info: Buffer, length: number): string {
  const prk = createHmac("sha256", salt).update(secret).digest();
  const block = createHmac("sha256", prk)
    .update(Buffer.concat([info, Buffer.from([1])]))
    .digest();
  return block.subarray(0, length).toString("hex");
}

it("derives each key as the format says", () => {
  const salt = Buffer.from("550e8400000040008000000000000000", "hex");

  expect(idBytes(id)).toEqual(salt);
  expect(keyId(dataKey, id)).toBe(hkdf(dataKey, salt, Buffer.from("backupctl/1/key-id"), 16));
  expect(metadataKey(dataKey, id).toString("hex")).toBe(hkdf(dataKey, salt, Buffer.from("backupctl/1/metadata"), 32));
  expect(artifactKey(dataKey, artifactId, id).toString("hex")).toBe(
    hkdf(dataKey, artifactId, Buffer.concat([Buffer.from("backupctl/1/artifact"), salt]), 32),
  );
});

it("keeps its test vectors", () => {
  expect({
    keyId: keyId(dataKey, id),
    metadataKey: metadataKey(dataKey, id).toString("hex"),
    artifactKey: artifactKey(dataKey, artifactId, id).toString("hex"),
  }).toMatchInlineSnapshot(`
    {
      "artifactKey": "e8b5e4d5d934ad5a7295327969dbc2cfa6ed31e90bbac2a8f2a352b71568a39f",
      "keyId": "b614cecc20a6b55639d4e37e5217b8f2",
      "metadataKey": "440042d260824867c55d27b767fb7b5d6d510cae5dee9210519238db3a536cd1",
    }
  `);
});

it("gives each backup and artifact keys of its own", () => {
  const keys = [
    artifactKey(dataKey, artifactId, id),
    artifactKey(dataKey, Buffer.alloc(16, 8), id),
    artifactKey(dataKey, artifactId, backupId(1)),
    metadataKey(dataKey, id),
    metadataKey(dataKey, backupId(1)),
  ].map((key) => key.toString("hex"));

  expect(new Set(keys).size).toBe(keys.length);
  expect(makeDataKey()).not.toEqual(makeDataKey());
  expect(makeArtifactId()).toHaveLength(16);
  expect(() => artifactKey(dataKey, Buffer.alloc(15), id)).toThrow(RangeError);
});

describe("a wrapped data key", () => {
  const context = {
    secret: Buffer.alloc(32, 1),
    backupId: id,
    provider: "local",
    keyName: "main",
    keyId: keyId(dataKey, id),
  };
  const wrap = sealDataKey({ ...context, dataKey });

  it("opens with the same secret", () => {
    expect(openDataKey({ ...context, ...wrap })).toEqual(dataKey);
    expect(sealDataKey({ ...context, dataKey }).nonce).not.toBe(wrap.nonce);
  });

  it("opens when made by hand after the text of the format", () => {
    const key = Buffer.from(hkdf(context.secret, idBytes(id), Buffer.from("backupctl/1/wrap"), 32), "hex");
    const cipher = createCipheriv("aes-256-gcm", key, Buffer.alloc(12, 3));
    const names = Buffer.from("\0\x05local\0\x04main", "latin1");
    cipher.setAAD(Buffer.concat([idBytes(id), names, Buffer.from(context.keyId, "hex")]));
    const sealed = Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);

    const made = { nonce: Buffer.alloc(12, 3).toString("base64"), ciphertext: sealed.toString("base64") };
    expect(openDataKey({ ...context, ...made })).toEqual(dataKey);
  });

  it.each([
    ["another secret", { secret: Buffer.alloc(32, 2) }],
    ["another backup", { backupId: backupId(1) }],
    ["another provider", { provider: "passphrase" }],
    ["another key name", { keyName: "other" }],
    ["a name that takes a letter from the provider", { provider: "loca", keyName: "lmain" }],
    ["another key id", { keyId: "0".repeat(32) }],
    ["a changed nonce", { nonce: Buffer.alloc(12).toString("base64") }],
    ["a short nonce", { nonce: "AAAA" }],
    ["a cut ciphertext", { ciphertext: wrap.ciphertext.slice(0, -4) }],
    ["nothing", { ciphertext: "" }],
  ])("does not open with %s", (_what, change) => {
    expect(openDataKey({ ...context, ...wrap, ...change })).toBeUndefined();
  });

  it("does not open with any bit flipped", () => {
    const sealed = Buffer.from(wrap.ciphertext, "base64");
    for (let byte = 0; byte < sealed.length; byte += 1) {
      const flipped = Buffer.from(sealed);
      flipped.writeUInt8(flipped.readUInt8(byte) ^ 1, byte);
      expect(openDataKey({ ...context, ...wrap, ciphertext: flipped.toString("base64") })).toBeUndefined();
    }
  });

  it("does not open if what it holds is not the key that the key id commits to", () => {
    const lying = sealDataKey({ ...context, dataKey: Buffer.alloc(32, 66) });

    expect(openDataKey({ ...context, ...lying })).toBeUndefined();
  });
});
