import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { namesWithContent, siteWithOneInode } from "../../helpers/one-inode.ts";
import { download, restore } from "./tools.ts";

const PROGRAM = join(import.meta.dirname, "../../../recovery/recover.mjs");

describe("names of one inode that were read with different content stay apart, those with the same are linked:", () => {
  it("restored, into a new folder and over what is there", async () => {
    const { operations, directory, www } = await siteWithOneInode();
    const to = join(directory, "to");

    for (const overwrite of [false, true]) {
      const { sources } = await restore(operations, { latest: true, to, overwrite });

      expect(sources).toMatchObject([{ status: "completed" }]);
      expect(namesWithContent(join(to, www))).toEqual(namesWithContent(www));
    }
  });

  it("restored and compared by verify --deep", async () => {
    const { operations, id } = await siteWithOneInode();

    const { backups } = await operations.verify({
      reference: id,
      all: false,
      deep: true,
      quick: false,
      components: [],
    });

    expect(backups).toMatchObject([{ passed: true, issues: [] }]);
  });

  it("downloaded as a tar", async () => {
    const { operations, directory, www } = await siteWithOneInode();
    const to = join(directory, "to");
    const unpacked = join(directory, "unpacked");
    mkdirSync(unpacked);

    await download(operations, { to });

    execFileSync("tar", ["-xf", join(to, "www.tar"), "-C", unpacked]);
    expect(namesWithContent(join(unpacked, www))).toEqual(namesWithContent(www));
  });

  it("written by recover.mjs", async () => {
    const { repositoryDirectory, directory, www } = await siteWithOneInode();
    const to = join(directory, "to");
    const secret = ["--key-file", join(directory, "main.key")];

    execFileSync(process.execPath, [PROGRAM, "restore", repositoryDirectory, "latest", "www", "--to", to, ...secret]);

    expect(namesWithContent(join(to, www))).toEqual(namesWithContent(www));
  });
});
