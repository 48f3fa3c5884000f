import { expect, test } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import { asStateFailure } from "../../src/operations/state-failure.ts";

function refused(code: string): Error {
  return Object.assign(new Error(`${code}: refused`), { code });
}

test.each([
  ["ENOSPC", "INSUFFICIENT_STORAGE", "state directory /state can't be used: ENOSPC: refused"],
  ["EDQUOT", "INSUFFICIENT_STORAGE", "state directory /state can't be used: EDQUOT: refused"],
  ["EROFS", "CATALOG_FAILED", "state directory /state can't be used: EROFS: refused"],
  ["EMFILE", "CATALOG_FAILED", "too many files are open: EMFILE: refused"],
])("%s where a run keeps its own files is said in words", (errno, code, message) => {
  expect(asStateFailure(refused(errno), "/state")).toMatchObject({ code, message, hint: expect.any(String) });
});

test("a bug, and what an adapter has said already, stay as they are", () => {
  for (const error of [refused("ENOENT"), new Error("bug"), new BackupctlError("STORAGE_FAILED", "away")])
    expect(asStateFailure(error, "/state")).toBe(error);
});
