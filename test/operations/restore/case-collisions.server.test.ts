import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { beforeEach, expect, onTestFinished, test } from "vitest";
import { createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { restore, www } from "./tools.ts";

const RECOVER = join(import.meta.dirname, "../../../recovery/recover.mjs");

/** Names that are two where they were backed up, and one where they are restored. */

let site: OpenSite;
let outside: string;
beforeEach(async () => {
  site = await openSite();
  fs.rmSync(www(site), { recursive: true });
  fs.mkdirSync(www(site));
  outside = tempDir();
});

/** A folder on a file system that ignores case: NTFS as Windows has it. */
function ignoringCase(): string {
  const image = join(site.directory, "image");
  const place = join(site.directory, "ignores-case");
  fs.writeFileSync(image, "");
  fs.truncateSync(image, 16 * 1024 * 1024);
  fs.mkdirSync(place);
  execFileSync("mkntfs", ["--quick", "--force", "--quiet", image], { stdio: "ignore" });
  execFileSync("lowntfs-3g", ["-o", "ignore_case,permissions", image, place]);
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", place]);
  });
  return place;
}

/** Each makes two names below `www`, of which the second is the first where case does not count. */
const COLLISIONS: readonly (readonly [string, () => void])[] = [
  ["files", () => fill({ README: "one", readme: "two" })],
  ["empty files", () => fill({ README: "", readme: "" })],
  ["folders", () => fill({ "DIR/a": "one", "dir/b": "two" })],
  ["a file and a folder", () => fill({ "NAME/x": "one", name: "two" })],
  ["a file and a symlink", () => fill({ NAME: "one" }, "name")],
  ["a symlink and a folder of files", () => fill({ "name/x": "one", "name/y": "two" }, "NAME")],
  ["a folder of files and a symlink", () => fill({ "NAME/x": "one", "NAME/y": "two" }, "name")],
];

function fill(files: Readonly<Record<string, string>>, link?: string): void {
  for (const [name, text] of Object.entries(files)) {
    fs.mkdirSync(join(www(site), name, ".."), { recursive: true });
    fs.writeFileSync(join(www(site), name), text);
  }
  if (link !== undefined) fs.symlinkSync(outside, join(www(site), link));
}

const REFUSED = { code: "RESTORE_FAILED", message: expect.stringContaining("are one name in") };
const canIgnoreCase = requireOrSkip("root", "ntfs-3g");

test.runIf(canIgnoreCase).each(COLLISIONS)("%s are restored nowhere where case does not count", async (_, make) => {
  make();
  await createOne(site);
  const place = ignoringCase();
  const [to, taken, recovered] = [join(place, "to"), join(place, "taken"), join(place, "recovered")];
  fs.mkdirSync(taken);
  fs.writeFileSync(join(taken, "theirs"), "theirs");

  const fresh = await restore(site.operations, { latest: true, to }).catch((error) => error);
  const over = await restore(site.operations, { latest: true, to: taken, overwrite: true }).catch((error) => error);
  const { status, stderr } = recover(recovered);

  expect([fresh, over]).toMatchObject([REFUSED, REFUSED]);
  expect([1, 4], stderr).toContain(status);
  expect(stderr).toMatch(/^error: /m);
  expect(fs.readdirSync(place)).toEqual(["taken"]);
  expect(fs.readdirSync(taken)).toEqual(["theirs"]);
  expect(fs.readdirSync(outside)).toEqual([]);
});

test.runIf(canIgnoreCase)("one of them is restored, when the other is left out, as is what has no twin", async () => {
  fill({ README: "one", readme: "two", "Dir/Other": "three" });
  await createOne(site);
  const to = join(ignoringCase(), "to");

  await restore(site.operations, { latest: true, to, exclude: [join(www(site), "README")] });

  const restored = ["readme", "Dir/Other"].map((name) => fs.readFileSync(join(to, www(site), name), "utf8"));
  expect(restored).toEqual(["two", "three"]);
});

test.runIf(canIgnoreCase)("in place they are not restored either, where another disk lies there now", async () => {
  fill({ README: "one", readme: "two" });
  await createOne(site);
  execFileSync("mount", ["--bind", ignoringCase(), www(site)]);
  fs.writeFileSync(join(www(site), "theirs"), "theirs");
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", www(site)]);
  });

  const restored = restore(site.operations, { latest: true, overwrite: true });

  await expect(restored).rejects.toMatchObject(REFUSED);
  expect(fs.readdirSync(www(site))).toEqual(["theirs"]);
});

test.runIf(canIgnoreCase)("nor where a folder of the target alone ignores case", async () => {
  fill({ "Docs/README": "one", "Docs/between/x": "x", "Docs/readme": "two", docs: "a file where case counts" });
  await createOne(site);
  const to = join(site.directory, "to");
  const folder = join(to, www(site), "Docs");
  fs.mkdirSync(folder, { recursive: true });
  execFileSync("mount", ["--bind", ignoringCase(), folder]);
  fs.writeFileSync(join(folder, "readme"), "theirs");
  onTestFinished(() => {
    execFileSync("umount", ["--lazy", folder]);
  });

  const failure = await restore(site.operations, { latest: true, to, overwrite: true }).catch((error) => error);

  expect(failure).toMatchObject(REFUSED);
  expect(failure.message).toMatch(/Docs\/README and .*Docs\/readme are/);
  expect(failure.hint).toMatch(/Nothing was written\.$/);
  expect(fs.readFileSync(join(folder, "readme"), "utf8")).toBe("theirs");
  expect(fs.readdirSync(join(to, www(site)))).toEqual(["Docs"]);
});

function recover(to: string) {
  const args = [RECOVER, "restore", site.repositoryDirectory, "latest", "www", "--to", to];
  const key = ["--key-file", join(site.directory, "main.key")];
  return spawnSync(process.execPath, [...args, ...key], { encoding: "utf8", env: {} });
}
