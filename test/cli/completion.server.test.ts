import { execFileSync } from "node:child_process";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { run } from "./harness.ts";

describe.runIf(requireOrSkip("fish"))("fish completes", () => {
  test.each([
    ["backupctl cre", ["create"]],
    ["backupctl -c site.yaml cre", ["create"]],
    ["backupctl create --mode inc", ["incremental"]],
    ["backupctl config sh", ["show"]],
    ["backupctl completion z", ["zsh"]],
  ])("%s", async (line, words) => {
    const file = join(tempDir(), "backupctl.fish");
    writeFileSync(file, (await run("completion fish")).stdout);
    const offers = execFileSync("fish", ["--no-config", "-c", `source $argv[1]; complete -C "${line}"`, file], {
      encoding: "utf8",
    });

    expect(
      offers
        .trim()
        .split("\n")
        .map((offer) => offer.split("\t")[0]),
    ).toEqual(words);
  });
});
