import { readFileSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { generateKeyFile } from "../../../src/keys/local/generate.ts";
import { keyProviderDefinitions } from "../../../src/keys/registry.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { keyProviderSuite } from "../../suites/key-provider-suite.ts";

const bytes = Buffer.from(Array.from({ length: 32 }, (_, n) => 255 - n));
const hex = bytes.toString("hex");
const context = { name: "main", repositoryId: "6f1c1c3e-0000-4000-8000-000000000000" };

const open = (key: string) => keyProviderDefinitions.local!.open({ key }, context);

keyProviderSuite({
  name: "local",
  open: () => open(hex),
  openUnusable: () => open(hex.slice(0, 62)),
  secrets: [hex, hex.slice(0, 62)],
});

describe("the key's text", () => {
  test.each([
    ["hex", hex],
    ["upper-case hex", hex.toUpperCase()],
    ["hex from a file, with its line break", `${hex}\n`],
    ["base64", bytes.toString("base64")],
    ["base64 without padding", bytes.toString("base64").replace("=", "")],
    ["URL-safe base64", bytes.toString("base64url")],
  ])("may be %s", async (_, text) => {
    expect((await (await open(text)).seal()).secret).toEqual(bytes);
  });

  test.each([
    ["empty", "", "is empty"],
    ["only a line break", "\n", "is empty"],
    ["too short", hex.slice(2), "62 characters"],
    ["too long", `${hex}00`, "66 characters"],
    ["no hex", `${hex.slice(0, 63)}g`, "not 32 bytes"],
    ["base64 of 31 bytes", bytes.subarray(1).toString("base64"), "not 32 bytes"],
    ["a passphrase", "correct horse battery staple", "not 32 bytes"],
  ])("may not be %s", async (_, text, message) => {
    await expect((await open(text)).seal()).rejects.toMatchObject({
      code: "ENCRYPTION_KEY_NOT_FOUND",
      message: expect.stringContaining(message),
      hint: expect.stringContaining("openssl rand -hex 32"),
    });
  });

  test("that is missing is CONFIG_INVALID", async () => {
    await expect(keyProviderDefinitions.local!.open({}, context)).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: 'key "main": local option "key" is missing or invalid',
    });
  });
});

describe("generateKeyFile", () => {
  test("writes a key that the provider takes, for the owner only, another one each time", async () => {
    const dir = tempDir();
    const [first, second] = [join(dir, "new/folder/key"), join(dir, "key")];

    await generateKeyFile(first);
    await generateKeyFile(second);

    const text = readFileSync(first, "utf8");
    expect(text).toMatch(/^[0-9a-f]{64}\n$/);
    expect(statSync(first).mode & 0o777).toBe(0o600);
    expect(statSync(join(dir, "new")).mode & 0o777).toBe(0o700);
    expect(readFileSync(second, "utf8")).not.toBe(text);
    expect((await (await open(text)).seal()).secret.toString("hex")).toBe(text.trim());
  });

  test("refuses to overwrite a file, whatever is in it", async () => {
    const file = join(tempDir(), "key");
    writeFileSync(file, "precious");

    await expect(generateKeyFile(file)).rejects.toMatchObject({
      code: "USAGE",
      message: `key file ${file} exists already`,
    });

    expect(readFileSync(file, "utf8")).toBe("precious");
  });

  test("names the file that it cannot write", async () => {
    const file = join(tempDir(), "file");
    writeFileSync(file, "");

    await expect(generateKeyFile(join(file, "key"))).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringContaining(`cannot write key file ${file}/key`),
    });
  });
});
