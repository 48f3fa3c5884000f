import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { namesWithContent, siteWithOneInode } from "../helpers/one-inode.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { readAll } from "./reader.ts";

test.runIf(requireOrSkip("python3-modules"))(
  "names of one inode that were read with different content stay apart, those with the same are linked",
  async () => {
    const { repositoryDirectory, directory, www } = await siteWithOneInode();

    const { backups, refused } = readAll(repositoryDirectory, {
      key: fs.readFileSync(join(directory, "main.key"), "utf8"),
    });

    expect(refused).toEqual([]);
    const place = backups[0]?.sources.www?.place ?? "";
    expect(namesWithContent(join(place, www))).toEqual(namesWithContent(www));
  },
);
