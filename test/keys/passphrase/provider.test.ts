import { scryptSync } from "node:crypto";
import { describe, expect, test } from "vitest";
import type { KeyParameters } from "../../../src/keys/key-provider.ts";
import { keyProviderDefinitions } from "../../../src/keys/registry.ts";
import { keyProviderSuite } from "../../suites/key-provider-suite.ts";

const passphrase = "correct horse battery staple äöü";
const salt = Buffer.from("0123456789abcdef");
const context = { name: "main", repositoryId: "6f1c1c3e-0000-4000-8000-000000000000" };

const open = (text: string, given: { salt?: Buffer } = { salt }) =>
  keyProviderDefinitions.passphrase!.open({ passphrase: text }, { ...context, ...given });

keyProviderSuite({
  name: "passphrase",
  open: () => open(passphrase),
  openUnusable: () => open("\n"),
  secrets: [passphrase],
});

describe("the secret", () => {
  test("is scrypt of the passphrase's UTF-8 bytes with N=2^17, r=8, p=1", async () => {
    const { secret, parameters } = await (await open(passphrase)).seal();

    expect(parameters).toEqual({ salt: salt.toString("base64"), n: 131_072, r: 8, p: 1 });
    const expected = scryptSync(Buffer.from(passphrase, "utf8"), salt, 32, { N: 2 ** 17, r: 8, p: 1, maxmem: 2 ** 28 });
    expect(secret).toEqual(expected);
  });

  test("does not depend on the line break that a file or a command ends with", async () => {
    const { secret, parameters } = await (await open(passphrase)).seal();

    expect(await (await open(`${passphrase}\r\n`)).open(parameters)).toEqual(secret);
  });

  test("of another passphrase is another one", async () => {
    const { secret, parameters } = await (await open(passphrase)).seal();

    expect(await (await open("another passphrase")).open(parameters)).not.toEqual(secret);
  });

  test("is derived at the cost that the keys object names", async () => {
    const parameters = { salt: salt.toString("base64"), n: 2 ** 15, r: 8, p: 2 };

    const secret = await (await open(passphrase)).open(parameters);

    expect(secret).toEqual(scryptSync(passphrase, salt, 32, { N: 2 ** 15, r: 8, p: 2, maxmem: 2 ** 28 }));
  });
});

describe("the salt", () => {
  test("is random where none is given, and is there to be kept", async () => {
    const [first, second] = [await open(passphrase, {}), await open(passphrase, {})];

    expect(first.salt?.length).toBe(16);
    expect(first.salt).not.toEqual(second.salt);
    expect((await first.seal()).parameters).toMatchObject({ salt: first.salt?.toString("base64") });
  });

  // 200 derivations would take longer than the test may.
  test("is the given one, so that one derivation opens every backup of a repository", { timeout: 20_000 }, async () => {
    const provider = await open(passphrase);
    const { secret, parameters } = await provider.seal();

    const opened = await Promise.all(Array.from({ length: 200 }, () => provider.open({ ...parameters })));

    expect(provider.salt).toEqual(salt);
    expect(opened.every((each) => each?.equals(secret))).toBe(true);
  });
});

describe("parameters that no backup has are BACKUP_CORRUPTED before any memory is taken:", () => {
  const sound = { salt: salt.toString("base64"), n: 2 ** 15, r: 8, p: 1 };
  const cases: [string, KeyParameters][] = [
    ["N below 2^15", { ...sound, n: 2 ** 14 }],
    ["N above 2^17", { ...sound, n: 2 ** 18 }],
    ["N that is no power of two", { ...sound, n: 40_000 }],
    ["N as text", { ...sound, n: "32768" }],
    ["N that is no number", { ...sound, n: Number.NaN }],
    ["another r", { ...sound, r: 16 }],
    ["p of 0", { ...sound, p: 0 }],
    ["p above 4", { ...sound, p: 5 }],
    ["p that is no integer", { ...sound, p: 1.5 }],
    ["a short salt", { ...sound, salt: "AAAA" }],
    ["a huge salt", { ...sound, salt: Buffer.alloc(100).toString("base64") }],
    ["a salt that is no base64", { ...sound, salt: "!!!!!!!!!!!!!!!!!!!!!!!!" }],
    ["no salt", { n: 2 ** 15, r: 8, p: 1 }],
    ["none at all", {}],
  ];

  test.each(cases)("%s", async (_, parameters) => {
    await expect((await open(passphrase)).open(parameters)).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("keys object"),
    });
  });
});
