import { spawnSync } from "node:child_process";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { currentUserName } from "../../src/platform/user-name.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const MODULE = join(import.meta.dirname, "../../src/platform/user-name.ts");

test("the user's name is the system's", () => {
  expect(currentUserName()).toBe(userInfo().username);
});

describe.runIf(requireOrSkip("root"))("a user whom the system does not know", () => {
  test("goes by the number", () => {
    const program = `import { currentUserName } from ${JSON.stringify(MODULE)};
      process.setuid(54_321);
      process.stdout.write(currentUserName());`;
    const { stdout, stderr } = spawnSync(process.execPath, ["--input-type=module", "-e", program], {
      encoding: "utf8",
    });

    expect(stderr).toBe("");
    expect(stdout).toBe("54321");
  });
});
