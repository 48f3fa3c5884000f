import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { dirname, join } from "node:path";
import { describe, expect, onTestFinished, test } from "vitest";
import { openEngine } from "../../../src/engines/files/engine.ts";
import { options } from "../../../src/engines/files/options.ts";
import { canMount } from "../../helpers/mounted-file.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { dumpTree, namesBelow } from "./tree-tools.ts";

function site(files: readonly string[]): string {
  const folder = tempDir();
  for (const file of files) {
    fs.mkdirSync(dirname(join(folder, file)), { recursive: true });
    fs.writeFileSync(join(folder, file), "");
  }
  return folder;
}

async function remaining(folder: string, given: Record<string, unknown>): Promise<string[]> {
  const { nodes } = await dumpTree({ paths: [folder], ...given });
  return namesBelow(folder, nodes);
}

describe("exclude", () => {
  test.each<[string, string[], string[], string[]]>([
    ["a name anywhere", ["*.tmp"], ["a.tmp", "d/b.tmp", "d/c"], ["d", "d/c"]],
    ["a name at the root", ["/cache"], ["cache/a", "d/cache/b"], ["d", "d/cache", "d/cache/b"]],
    ["a folder only", ["cache/"], ["cache/a", "d/cache"], ["d", "d/cache"]],
    ["all but one", ["*.log", "!keep.log"], ["a.log", "keep.log"], ["keep.log"]],
    ["any depth", ["a/**/z"], ["a/z", "a/b/c/z", "a/y"], ["a", "a/b", "a/b/c", "a/y"]],
    ["with the case of the name", ["*.TMP"], ["a.tmp", "b.TMP"], ["a.tmp"]],
    ["names beyond ASCII", ["ü*"], ["übung", "u"], ["u"]],
    ["nothing below an excluded folder, even when asked back", ["d/", "!d/keep"], ["d/keep", "e"], ["e"]],
  ])("leaves out %s", async (_what, exclude, files, left) => {
    expect(await remaining(site(files), { exclude })).toEqual(left);
  });

  test("takes an absolute path below a root for that path", async () => {
    const folder = site(["cache/a", "d/cache/b"]);

    expect(await remaining(folder, { exclude: [`${folder}/cache`] })).toEqual(["d", "d/cache", "d/cache/b"]);
  });

  test("does not lose a root that lies in an excluded folder of another root", async () => {
    const folder = site(["cache/keep/a", "cache/b", "c"]);

    const { nodes } = await dumpTree({ paths: [folder, join(folder, "cache/keep")], exclude: ["/cache"] });

    expect(namesBelow(folder, nodes)).toEqual(["c", "cache", "cache/keep", "cache/keep/a"]);
  });
});

describe("marked folders", () => {
  test("are kept empty, with their mark", async () => {
    const folder = site(["big/.nobackup", "big/a", "big/sub/b", "c"]);

    expect(await remaining(folder, { exclude_if_present: [".nobackup"] })).toEqual(["big", "big/.nobackup", "c"]);
  });

  test("are caches only with the signature in their tag", async () => {
    const folder = site(["real/a", "fake/b"]);
    fs.writeFileSync(join(folder, "real/CACHEDIR.TAG"), "Signature: 8a477f597d28d172789f06886806bc55\n# a cache");
    fs.writeFileSync(join(folder, "fake/CACHEDIR.TAG"), "Signature: no");

    const kept = await remaining(folder, { exclude_caches: true });

    expect(kept).toEqual(["fake", "fake/CACHEDIR.TAG", "fake/b", "real", "real/CACHEDIR.TAG"]);
    expect(await remaining(folder, {})).toContain("real/a");
  });
});

test("what a dump leaves out is known path by path, so that a restore can spare it", () => {
  const folder = site(["cache/a", "b.tmp", "keep", "marked/.nobackup", "marked/c", "inner/cache"]);
  const { leavesOut } = openEngine(
    options.parse({
      paths: [folder, join(folder, "inner")],
      exclude: ["*.tmp", "cache/", "/inner"],
      exclude_if_present: [".nobackup"],
    }),
    {},
  );
  const asked = (name: string, isDirectory = false) =>
    leavesOut?.(Buffer.from(join(folder, name).slice(1)), isDirectory);

  expect(asked("b.tmp")).toBe(true);
  expect(asked("cache", true)).toBe(true);
  expect(asked("marked/c")).toBe(true);
  expect(["keep", "marked/.nobackup", "inner/cache", "../elsewhere.tmp"].map((name) => asked(name))).toEqual([
    false,
    false,
    false,
    false,
  ]);
  expect(asked("inner", true)).toBe(false);
  expect(asked("marked", true)).toBe(false);
});

describe.runIf(canMount)("one_file_system", () => {
  function mounted(): string {
    const folder = site(["here", "mount/hidden"]);
    execFileSync("mount", ["-t", "tmpfs", "none", join(folder, "mount")]);
    onTestFinished(() => void execFileSync("umount", [join(folder, "mount")]));
    fs.writeFileSync(join(folder, "mount/there"), "");
    return folder;
  }

  test("keeps a mount point and leaves out what is mounted", async () => {
    const folder = mounted();

    expect(await remaining(folder, { one_file_system: true })).toEqual(["here", "mount"]);
    const { leavesOut } = openEngine(options.parse({ paths: [folder], one_file_system: true }), {});
    expect(leavesOut?.(Buffer.from(`${folder.slice(1)}/mount`), true)).toBe(true);
    expect(await remaining(folder, { one_file_system: false })).toEqual(["here", "mount", "mount/there"]);
  });

  test("enters a mounted file system that is a root itself", async () => {
    const folder = mounted();

    const { nodes } = await dumpTree({ paths: [folder, join(folder, "mount")], one_file_system: true });

    expect(namesBelow(folder, nodes)).toEqual(["here", "mount", "mount/there"]);
  });
});

test.each([
  ["a relative path", { paths: ["srv"] }],
  ["no path", { paths: [] }],
  ["a marker with a slash", { paths: ["/srv"], exclude_if_present: ["a/b"] }],
  ["an unknown way with attributes", { paths: ["/srv"], xattrs: "maybe" }],
])("the options refuse %s", (_what, given) => {
  expect(options.safeParse(given).success).toBe(false);
});
