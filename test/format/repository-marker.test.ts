import { expect, it } from "vitest";
import { decodeRepositoryMarker, encodeRepositoryMarker } from "../../src/format/repository-marker.ts";
import { REPOSITORY_ID } from "../domain/builders.ts";

const marker = { repositoryId: REPOSITORY_ID, created: "2026-01-11T02:00:00.000Z" };

it("comes back as it was written", () => {
  expect(decodeRepositoryMarker(encodeRepositoryMarker(marker), "main")).toEqual(marker);
});

it("may have members that this release does not know", () => {
  const content = JSON.parse(encodeRepositoryMarker(marker).toString());

  expect(decodeRepositoryMarker(Buffer.from(JSON.stringify({ ...content, comment: "x" })), "main")).toEqual(marker);
});

it.each([
  ["nothing", "", "BACKUP_CORRUPTED"],
  ["a list", "[]", "BACKUP_CORRUPTED"],
  ["another format", '{"format":"restic","version":1}', "BACKUP_CORRUPTED"],
  ["a later version", '{"format":"backupctl","version":2}', "UNSUPPORTED_FORMAT"],
  ["no id", '{"format":"backupctl","version":1,"created":"2026-01-11T02:00:00Z"}', "BACKUP_CORRUPTED"],
])("of %s is refused", (_what, text, code) => {
  expect(() => decodeRepositoryMarker(Buffer.from(text), "main")).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining("backupctl.json of main") }),
  );
});

it("is not written with an id that is none", () => {
  expect(() => encodeRepositoryMarker({ ...marker, repositoryId: "x" })).toThrow();
});
