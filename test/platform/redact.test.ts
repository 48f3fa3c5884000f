import { describe, expect, test } from "vitest";
import { createRedactor, printable } from "../../src/platform/redact.ts";

const secret = "p@ss/w+rd: 100% ß";
const base64 = (text: string) => Buffer.from(text).toString("base64");

describe("a redactor", () => {
  test("masks a secret wherever it stands, and leaves the rest", () => {
    const { redact } = createRedactor([secret]);

    expect(redact(`psql: password "${secret}" rejected, ${secret}`)).toBe('psql: password "***" rejected, ***');
    expect(redact("nothing to hide")).toBe("nothing to hide");
  });

  test.each([
    ["percent-encoded, as in a URL", encodeURIComponent(secret)],
    ["percent-encoded in lower case", encodeURIComponent(secret).toLowerCase()],
    ["encoded as in a form", encodeURIComponent(secret).replaceAll("%20", "+")],
    ["base64", base64(secret)],
    ["base64 without padding", base64(secret).replaceAll("=", "")],
    ["URL-safe base64", Buffer.from(secret).toString("base64url")],
    ["quoted in JSON", JSON.stringify(secret)],
  ])("masks a secret %s", (_, spelling) => {
    const text = createRedactor([secret]).redact(`before ${spelling} after`);

    expect(text).toMatch(/^before "?\*\*\*=*"? after$/);
  });

  test.each(["u", "us", "user", "backup"])("masks most of a secret within the base64 of %s:secret", (user) => {
    const long = "a-long-enough-secret-value";

    const text = createRedactor([long]).redact(`Authorization: Basic ${base64(`${user}:${long}`)}`);

    expect(text).toContain("***");
    const left = Buffer.from(text.split(" ").at(-1)!.replace("***", ""), "base64").toString("latin1");
    expect(left).not.toContain(long.slice(2, 8));
    expect(left).not.toContain(long.slice(-6));
  });

  test("masks each line of a secret of several lines", () => {
    const pem = "-----BEGIN KEY-----\nMIIEvQIBADANBgkqhkiG\nw0BAQEFAASCBKcwggSj\n-----END KEY-----\n";
    const { redact } = createRedactor([pem]);

    expect(redact("found MIIEvQIBADANBgkqhkiG there")).toBe("found *** there");
    expect(redact(`all: ${pem}`)).toBe("all: ***");
  });

  test("masks the longer of two secrets of which one holds the other", () => {
    const { redact } = createRedactor(["secret", "secret-and-more"]);

    expect(redact("secret-and-more, secret")).toBe("***, ***");
  });

  test("masks a secret that became known later", () => {
    const redactor = createRedactor();
    expect(redactor.redact("token-1234")).toBe("token-1234");

    redactor.add("token-1234");

    expect(redactor.redact("token-1234")).toBe("***");
  });

  test("leaves strings too short to be secret, and treats no character as a pattern", () => {
    const { redact } = createRedactor(["abc", "", ".*+?^$"]);

    expect(redact("abc anything")).toBe("abc anything");
    expect(redact("is .*+?^$ there")).toBe("is *** there");
  });

  test("cleans a secret that control characters split", () => {
    const redactor = createRedactor(["very\u001bsecret", "tab\tbed-secret"]);

    expect(redactor.clean("a very\u001bsecret b")).toBe("a *** b");
    expect(redactor.clean(String.raw`a very\x1bsecret b`)).toBe("a *** b");
    expect(redactor.clean("tab\tbed-secret\u001b[2J")).toBe(String.raw`***\x1b[2J`);
  });
});

describe("printable text", () => {
  test.each([
    ["an escape sequence", "\u001b[31mred", String.raw`\x1b[31mred`],
    ["line breaks and tabs", "a\nb\r\tc", String.raw`a\x0ab\x0d\x09c`],
    ["C1 controls", "\u009b31m", String.raw`\x9b31m`],
    ["a delete", "a\u007f", String.raw`a\x7f`],
    ["a soft hyphen", "pay\u00adpal", String.raw`pay\xadpal`],
    ["a tag", "a\u{e0041}b", String.raw`a\u{e0041}b`],
    ["an override of direction", "gpj.\u202eexe", String.raw`gpj.\u202eexe`],
    ["isolates", "\u2066x\u2069", String.raw`\u2066x\u2069`],
    ["line separators", "a\u2028b\u2029", String.raw`a\u2028b\u2029`],
    ["invisible characters", "a\u200bb\ufeff", String.raw`a\u200bb\ufeff`],
    ["a lone surrogate", "a\ud800b", String.raw`a\ud800b`],
  ])("shows %s", (_, text, shown) => {
    expect(printable(text)).toBe(shown);
  });

  test("leaves ordinary text of every script alone", () => {
    const text = "Überweisung Größe 写真 файл עברית العربية 👩‍👩‍👧 naïve.txt \\ C:\\x";

    expect(printable(text)).toBe(text);
    expect(printable(Buffer.from(text))).toBe(text);
  });

  test.each([
    ["bytes that are not UTF-8", [0x61, 0xff, 0x62], String.raw`a\xffb`],
    ["a cut sequence between good ones", [0xc3, 0xa4, 0xe2, 0x82, 0xc3, 0xb6], String.raw`ä\xe2\x82ö`],
    ["an overlong slash", [0xc0, 0xaf], String.raw`\xc0\xaf`],
    ["a stray continuation", [0x80, 0x41], String.raw`\x80A`],
    ["a surrogate in UTF-8", [0xed, 0xa0, 0x80], String.raw`\xed\xa0\x80`],
    ["a byte order mark", [0xef, 0xbb, 0xbf, 0x41], String.raw`\ufeffA`],
    ["a control among bad bytes", [0x1b, 0xff], String.raw`\x1b\xff`],
  ])("shows %s", (_, bytes, shown) => {
    expect(printable(Buffer.from(bytes))).toBe(shown);
  });
});
