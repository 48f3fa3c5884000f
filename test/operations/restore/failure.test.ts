import { linkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { fromSystem } from "../../../src/operations/restore/failure.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

function refusalOf(action: () => void) {
  try {
    action();
  } catch (error) {
    return fromSystem(error, { name: "www", place: "/mnt/disk" });
  }
  throw new Error("it was not refused");
}

it("a hard link that the system never makes is laid to the file system, not to the user's rights", () => {
  const folder = tempDir();

  // Linux answers for a folder as it does for any file where there are no hard links.
  const refusal = refusalOf(() => linkSync(folder, join(folder, "link")));

  expect(refusal).toMatchObject({
    code: "RESTORE_FAILED",
    message: 'source "www" has hard links, which the file system of /mnt/disk does not take (EPERM)',
    hint: expect.stringContaining("`backupctl download`"),
  });
});

it("any other refusal is laid to the user's rights", () => {
  const file = join(tempDir(), "file");
  writeFileSync(file, "");

  const refusal = refusalOf(() => writeFileSync(join(file, "below"), ""));

  expect(refusal).toMatchObject({
    code: "RESTORE_FAILED",
    message: 'source "www" can\'t be written to /mnt/disk (ENOTDIR)',
    hint: expect.stringContaining("a user that may write there"),
  });
});

it("a name that is too long is laid to the name", () => {
  const refusal = refusalOf(() => writeFileSync(join(tempDir(), "x".repeat(256)), ""));

  expect(refusal).toMatchObject({ code: "RESTORE_FAILED", hint: expect.stringContaining("shorter name") });
});
