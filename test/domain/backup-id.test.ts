import { expect, it } from "vitest";
import { resolveBackupId } from "../../src/domain/backup-id.ts";
import { backupId } from "./builders.ts";

const all = [backupId(0xabcd0001), backupId(0xabcd0002), backupId(0x12345678)].map((id) => ({ id }));
const find = (prefix: string) => all.filter(({ id }) => id.startsWith(prefix));

it.each([
  ["1234", 0x12345678],
  ["12345678-0000", 0x12345678],
  [" ABCD0002 ", 0xabcd0002],
  [backupId(0xabcd0001), 0xabcd0001],
])("%j means one backup", (text, number) => {
  expect(resolveBackupId(text, find).id).toBe(backupId(number));
});

it.each([
  ["ffff", "BACKUP_NOT_FOUND", /no backup has the id "ffff"/],
  [backupId(5), "BACKUP_NOT_FOUND", /no backup has the id/],
  ["abcd", "USAGE", /ambiguous: 2 backups/],
  ["abc", "USAGE", /too short/],
  ["latest", "USAGE", /not a backup id/],
  ["12345-78", "USAGE", /not a backup id/],
  ["", "USAGE", /not a backup id/],
  ["%", "USAGE", /not a backup id/],
])("%j is refused with %s", (text, code, message) => {
  expect(() => resolveBackupId(text, find)).toThrow(
    expect.objectContaining({ code, message: expect.stringMatching(message), hint: expect.any(String) }),
  );
});

it("names the first five of many candidates", () => {
  const many = Array.from({ length: 6 }, (_, i) => ({ id: backupId(0xabcd0001 + i) }));

  expect(() => resolveBackupId("abcd", () => many)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining(`${backupId(0xabcd0005)}, …`) }),
  );
});

it("names the candidates of an ambiguous id", () => {
  expect(() => resolveBackupId("abcd", find)).toThrow(
    expect.objectContaining({ hint: expect.stringContaining(`${backupId(0xabcd0001)}, ${backupId(0xabcd0002)}`) }),
  );
});
