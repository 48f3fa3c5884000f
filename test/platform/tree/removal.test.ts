import { execFileSync } from "node:child_process";
import { existsSync, mkdirSync, readdirSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { removeTree } from "../../../src/platform/tree/removal.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** A path of more bytes than the system takes in one call. */
function makeDeep(folder: string): void {
  const name = "deep".repeat(60);
  const steps = Array.from({ length: 20 }, () => `mkdir ${name} && cd -P ${name}`).join(" && ");
  execFileSync("sh", ["-c", `cd "$1" && ${steps} && echo x > bottom`, "sh", folder]);
}

describe("removing a tree", () => {
  it("takes away what lies deeper than a path can name, and follows no symlink", async () => {
    const folder = tempDir();
    const doomed = join(folder, "doomed");
    mkdirSync(join(doomed, "a"), { recursive: true });
    mkdirSync(join(folder, "kept"));
    writeFileSync(join(folder, "kept/file"), "x");
    symlinkSync("../../kept", join(doomed, "a/link"));
    writeFileSync(Buffer.concat([Buffer.from(`${doomed}/`), Buffer.from([0xff, 0x0a])]), "x");
    makeDeep(doomed);

    await removeTree(doomed);

    expect(existsSync(doomed)).toBe(false);
    expect(readdirSync(join(folder, "kept"))).toEqual(["file"]);
  });

  it("takes away a file, and is content with nothing", async () => {
    const folder = tempDir();
    writeFileSync(join(folder, "file"), "x");

    await removeTree(join(folder, "file"));
    await removeTree(join(folder, "file"));

    expect(readdirSync(folder)).toEqual([]);
  });
});
