import { execFileSync } from "node:child_process";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { requireOrSkip } from "../servers/requirements.ts";

const CRONTAB = join(import.meta.dirname, "../../examples/crontab");

describe.runIf(requireOrSkip("crontab"))("examples/crontab", () => {
  test("cron takes it", () => {
    const said = execFileSync("crontab", ["-n", CRONTAB], { encoding: "utf8", stdio: ["ignore", "pipe", "pipe"] });

    expect(said).not.toMatch(/error|bad/i);
  });
});
