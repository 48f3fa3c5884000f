import { writeFileSync } from "node:fs";
import { join } from "node:path";
import * as tls from "node:tls";
import { describe, expect, test } from "vitest";
import { readCertificates } from "../../src/platform/certificates.ts";
import { tempDir } from "../helpers/temp-dir.ts";

function fileOf(text: string): string {
  const file = join(tempDir(), "ca.pem");
  writeFileSync(file, text);
  return file;
}

const [one = "", other = ""] = tls.rootCertificates;

describe("a file of certificates", () => {
  test("is read with whatever stands between them", async () => {
    const text = `# ours\n${one}\n\n# theirs\n${other}\n`;

    expect(await readCertificates(fileOf(text))).toBe(text);
  });

  test.each([
    ["", "has no certificate"],
    ["garbage", "has no certificate"],
    [one.replaceAll("CERTIFICATE", "PRIVATE KEY"), "has no certificate"],
    [one.slice(0, 300), "has no certificate"],
    [`${one}\n${other.slice(0, 200)}\n-----END CERTIFICATE-----`, "damaged"],
  ])("is refused where it has none, or a broken one", async (text, problem) => {
    await expect(readCertificates(fileOf(text))).rejects.toThrow(problem);
  });
});
