import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { localUsers } from "../../src/platform/names-of-owners.ts";
import { tempDir } from "../helpers/temp-dir.ts";

test("names and numbers come from the file, the first line winning", () => {
  const file = join(tempDir(), "passwd");
  writeFileSync(file, "app:x:4000001:10::/:/bin/sh\nalias:x:4000001:10::/:/bin/sh\n\nnot a line\napp:x:4000002::\n");

  const owners = localUsers(file);

  expect(owners.nameOf(4_000_001)).toBe("app");
  expect(owners.idOf("app")).toBe(4_000_001);
  expect(owners.idOf("alias")).toBe(4_000_001);
});

test("an id that the file does not have is asked of the system, and unknown ones are nobody's", () => {
  const owners = localUsers(join(tempDir(), "missing"));

  expect(owners.nameOf(0)).toBe("root");
  expect(owners.idOf("root")).toBe(0);
  expect(owners.nameOf(3_999_999_999)).toBeUndefined();
  expect(owners.idOf("-x")).toBeUndefined();
  expect(localUsers().nameOf(0)).toBe("root");
});
