import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { namesWithContent, siteWithOneInode } from "../helpers/one-inode.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const FIXTURE = join(import.meta.dirname, "../fixtures/format-v1/open-zstd");
const PROGRAM = join(import.meta.dirname, "../../recovery/recover.mjs");

/** recover.mjs, with calls that the system refuses. */
function recover(refused: readonly string[], args: readonly string[]) {
  const faults = refused.flatMap((fault) => ["-e", `inject=${fault}`]);
  const strace = ["-f", "-qq", "-o", "/dev/null", "-e", "trace=link,linkat,symlink,symlinkat,rename", ...faults];
  return spawnSync("strace", [...strace, process.execPath, PROGRAM, "restore", ...args], { encoding: "utf8" });
}

const NO_LINKS = "link,linkat:error=EPERM";

describe.runIf(requireOrSkip("root", "strace"))("recover.mjs, where the file system takes no hard links,", () => {
  it("writes each name of a file as a file of its own, and says so", async () => {
    const { repositoryDirectory, directory, www } = await siteWithOneInode();
    const to = join(directory, "to");
    const key = ["--key-file", join(directory, "main.key")];

    const { status, stderr } = recover([NO_LINKS], [repositoryDirectory, "latest", "www", "--to", to, ...key]);

    expect(status, stderr).toBe(0);
    const ofItsOwn = Object.entries(namesWithContent(www)).map(([name, content]) => [
      name,
      content.replace(/ is .*/, ` is ${name}`),
    ]);
    expect(namesWithContent(join(to, www))).toEqual(Object.fromEntries(ofItsOwn));
    expect(stderr).toContain("www/a-too: is a file of its own, because it can't be linked here");
  });

  it("leaves out symlinks where there are none either, names them, and says that it is not all", async () => {
    const { repositoryDirectory, directory, www } = await siteWithOneInode();
    const to = join(directory, "to");
    const key = ["--key-file", join(directory, "main.key")];
    const symlinks = ["l", "l-too", "m"];

    const refused = ["symlink,symlinkat:error=EPERM"];
    const { status, stderr } = recover(refused, [repositoryDirectory, "latest", "www", "--to", to, ...key]);

    expect(status, stderr).toBe(3);
    const wanted = Object.entries(namesWithContent(www)).filter(([name]) => !symlinks.includes(name));
    expect(namesWithContent(join(to, www))).toEqual(Object.fromEntries(wanted));
    for (const name of symlinks) expect(stderr).toContain(`www/${name} was left out: the file system there takes no`);
  });

  const app = (to: string): string[] => [FIXTURE, "8e24a759", "app", "--allow-unencrypted", "--to", to];

  it("writes a stream", () => {
    const [linked, renamed] = [join(tempDir(), "app"), join(tempDir(), "app")];

    expect(recover([], app(linked)).status).toBe(0);
    const { status, stderr } = recover([NO_LINKS], app(renamed));

    expect(status, stderr).toBe(0);
    expect(fs.readFileSync(renamed).equals(fs.readFileSync(linked))).toBe(true);
    expect(fs.readdirSync(join(renamed, ".."))).toEqual(["app"]);
  });

  it("leaves nothing of a stream that can't have its name", () => {
    const folder = tempDir();

    const { status, stderr } = recover([NO_LINKS, "rename:error=EIO"], app(join(folder, "app")));

    expect({ status, stderr }).toMatchObject({ status: 1, stderr: expect.stringContaining("EIO") });
    expect(fs.readdirSync(folder)).toEqual([]);
  });
});
