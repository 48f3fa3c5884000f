import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { stageTree } from "../../../src/platform/tree/staged-tree.ts";
import { createOne, openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { restore, www } from "./tools.ts";

const NOBODY = 65534;
const MODES = [0o755, 0o000, 0o500, 0o1000, 0o600];

test.runIf(requireOrSkip("root", "python3"))(
  "exact times are set below directories that their owner can't search, too",
  async () => {
    const site = await openSite();
    for (const mode of MODES) {
      const folder = join(www(site), mode.toString(8));
      fs.mkdirSync(join(folder, "deeper"), { recursive: true });
      for (let i = 0; i < 300; i++)
        fs.writeFileSync(join(folder, i % 2 === 0 ? "." : "deeper", `${i}`), `${mode} ${i}`);
      fs.chmodSync(join(folder, "deeper"), mode);
      fs.chmodSync(folder, mode);
    }
    await createOne(site);
    const outside = tempDir();
    await restore(site.operations, { latest: true, to: join(outside, "of root") });
    execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, site.directory, outside]);

    const to = join(outside, "of nobody");
    process.seteuid?.(NOBODY);
    let warnings: readonly string[];
    try {
      ({ warnings } = await restore(site.operations, { latest: true, to }));
    } finally {
      process.seteuid?.(0);
    }

    expect(warnings.filter((line) => line.includes("modification times"))).toEqual([]);
    const names = fs.readdirSync(www(site), { recursive: true, encoding: "utf8" });
    const facts = (root: string) =>
      names.map((name) => {
        const { mode, mtimeNs } = fs.lstatSync(join(root, name), { bigint: true });
        return `${name} ${mode.toString(8)} ${mtimeNs}`;
      });
    expect(facts(join(to, www(site)))).toEqual(facts(www(site)));
  },
);

test.runIf(requireOrSkip("root", "python3"))(
  "folders that are read-only come back, to a new folder, into an empty one, and over what is there",
  async () => {
    const site = await openSite();
    const closed = join(www(site), "closed");
    fs.mkdirSync(join(closed, "deeper"), { recursive: true });
    for (const name of ["a", "deeper/b"]) fs.writeFileSync(join(closed, name), `first ${name}`);
    for (const name of ["deeper", "."]) fs.chmodSync(join(closed, name), 0o555);
    fs.chmodSync(www(site), 0o555);
    const outside = tempDir();
    const [fresh, empty] = [join(outside, "fresh"), join(outside, "empty")];
    fs.mkdirSync(empty);
    execFileSync("chown", ["-R", `${NOBODY}:${NOBODY}`, site.directory, outside]);

    process.seteuid?.(NOBODY);
    try {
      const { id } = await createOne(site);
      fs.chmodSync(closed, 0o755);
      fs.writeFileSync(join(closed, "a"), "second");
      fs.chmodSync(closed, 0o555);
      for (const to of [fresh, empty]) await restore(site.operations, { reference: id, to });
      // A name at the root of the target, too: it gets another parent when all is there.
      await restore(site.operations, { reference: id, overwrite: true });
    } finally {
      process.seteuid?.(0);
    }

    for (const root of ["", fresh, empty]) {
      const place = join(root, closed);
      expect(fs.readFileSync(join(place, "a"), "utf8")).toBe("first a");
      expect(fs.readFileSync(join(place, "deeper/b"), "utf8")).toBe("first deeper/b");
      for (const name of [".", "deeper"]) expect(fs.statSync(join(place, name)).mode & 0o777).toBe(0o555);
    }
  },
);

test.runIf(requireOrSkip("root"))(
  "a read-only folder that was made aside gets its place in an empty target",
  async () => {
    const place = join(tempDir(), "empty");
    fs.mkdirSync(place);
    fs.chownSync(place, NOBODY, NOBODY);
    fs.chmodSync(join(place, ".."), 0o755);

    process.seteuid?.(NOBODY);
    try {
      const stage = await stageTree(place);
      fs.mkdirSync(join(stage.root, "closed"));
      fs.chmodSync(join(stage.root, "closed"), 0o555);
      await stage.commit();
    } finally {
      process.seteuid?.(0);
    }

    expect(fs.readdirSync(place)).toEqual(["closed"]);
    expect(fs.statSync(join(place, "closed")).mode & 0o777).toBe(0o555);
  },
);
