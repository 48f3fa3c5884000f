import * as fs from "node:fs";
import { basename, join } from "node:path";
import { describe, expect, it } from "vitest";
import { describeFolder } from "../../../src/platform/tree/folder-contents.ts";
import { stageTree, sweepStaging } from "../../../src/platform/tree/staged-tree.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const ODD_NAME = Buffer.from([0xff, 0x0a]);

function fill(root: string): void {
  fs.mkdirSync(join(root, "a/b"), { recursive: true });
  fs.writeFileSync(Buffer.concat([Buffer.from(`${root}/a/`), ODD_NAME]), "odd");
}

describe("a staged tree", () => {
  it("comes to a missing place whole, its parents made", async () => {
    const place = join(tempDir(), "x/y/place");

    const staged = await stageTree(place);
    fill(staged.root);
    expect(fs.existsSync(place)).toBe(false);
    await staged.commit();
    await staged.discard();

    expect(fs.readdirSync(join(place, "a"), { encoding: "buffer" })).toContainEqual(ODD_NAME);
    expect(fs.readdirSync(join(place, ".."))).toEqual(["place"]);
    expect(fs.statSync(place).mode & 0o777).toBe(0o777 & ~process.umask());
  });

  it.each(["missing", "empty"])(
    "takes what a killed restore of the same place left away, and nothing else (%s)",
    async (kind) => {
      const folder = tempDir();
      const place = join(folder, "place");
      if (kind === "empty") fs.mkdirSync(place);
      fill((await stageTree(place)).root);
      const others = [".place.backupctl-", ".place.backupctl-0123456", ".other.backupctl-01234567"];
      for (const name of others) fs.mkdirSync(join(folder, name));

      const staged = await stageTree(place);
      expect(describeFolder(place).members).toBe(0);
      fill(staged.root);
      await staged.commit();

      expect(fs.readdirSync(folder).sort()).toEqual([...others, "place"].sort());
      expect(fs.readdirSync(place)).toEqual(["a"]);
    },
  );

  it.each(["x".repeat(255), "ü".repeat(127), "💾".repeat(63)])(
    "comes to a place with the longest name: %s",
    async (name) => {
      const folder = tempDir();
      const place = join(folder, name);
      const other = join(folder, `${name.slice(0, -2)}__`);
      fill((await stageTree(place)).root);
      const others = await stageTree(other);

      const staged = await stageTree(place);
      await staged.commit();
      await others.commit();

      expect(staged.warnings).toHaveLength(1);
      expect(fs.readdirSync(folder).sort()).toEqual([basename(other), name].sort());
    },
  );

  it("is taken away from beside its place and in it, but for a link under its name and what that leads to", async () => {
    const folder = tempDir();
    const place = join(folder, "place");
    fill((await stageTree(place)).root);
    fs.mkdirSync(place);
    fs.mkdirSync(join(place, ".place.backupctl-00000000"));
    fill(join(folder, "others"));
    fs.symlinkSync("../others", join(place, ".place.backupctl-11111111"));

    await sweepStaging(place);

    expect(fs.readdirSync(folder).sort()).toEqual(["others", "place"]);
    expect(fs.readdirSync(place)).toEqual([".place.backupctl-11111111"]);
    expect(fs.readdirSync(join(folder, "others"))).toEqual(["a"]);
  });

  it("leaves nothing when it is discarded, not even the parents that it made", async () => {
    const folder = tempDir();

    const staged = await stageTree(join(folder, "x/y/place"));
    fill(staged.root);
    await staged.discard();

    expect(fs.readdirSync(folder)).toEqual([]);
  });

  it("keeps an empty folder as it was when it is discarded in it", async () => {
    const place = tempDir();

    const staged = await stageTree(place);
    fill(staged.root);
    await staged.discard();

    expect(fs.readdirSync(place)).toEqual([]);
  });

  it("refuses a place that somebody filled meanwhile", async () => {
    const folder = tempDir();
    const missing = join(folder, "missing");
    const empty = join(folder, "empty");
    fs.mkdirSync(empty);
    for (const place of [missing, empty]) {
      const staged = await stageTree(place);
      fs.mkdirSync(place, { recursive: true });
      fs.writeFileSync(join(place, "theirs"), "");

      await expect(staged.commit()).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
      await staged.discard();

      expect(fs.readdirSync(place)).toEqual(["theirs"]);
    }
  });

  it("can't be made where a file is in the way, which is said", async () => {
    const folder = tempDir();
    fs.writeFileSync(join(folder, "file"), "");

    await expect(stageTree(join(folder, "file/place"))).rejects.toMatchObject({ code: "RESTORE_FAILED" });
  });
});
