import { expect, it } from "vitest";
import { refusedAt } from "../../../src/platform/tree/refused-at.ts";

const refusal = (code: string, syscall: string): Error => Object.assign(new Error(code), { code, syscall });

it.each([
  ["EACCES", "open", "a user that may write there"],
  ["EPERM", "rename", "chattr -i"],
  ["EBUSY", "rename", "unmount"],
  ["EROFS", "mkdir", "read-only"],
])("names the entry, and has a hint for %s", (code, syscall, hint) => {
  expect(refusedAt("/srv/www/a", refusal(code, syscall))).toMatchObject({
    code: "RESTORE_FAILED",
    message: `/srv/www/a can't be written or replaced (${code})`,
    hint: expect.stringContaining(hint),
  });
});

it.each([
  ["ENOSPC", "open"],
  ["EPERM", "symlink"],
  ["EPERM", "link"],
])("has nothing to say of %s from %s, which is no matter of one entry", (code, syscall) => {
  expect(refusedAt("/srv/www/a", refusal(code, syscall))).toBeUndefined();
});
