import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { openEngine } from "../../../src/engines/files/engine.ts";
import { options } from "../../../src/engines/files/options.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { contextFor, copyTree } from "./tree-tools.ts";

const haveTools = ["rsync", "setfattr", "setfacl"].every((tool) => spawnSync(tool, ["--version"]).status === 0);
const isRoot = process.geteuid?.() === 0;

function difference(from: string, to: string): string {
  const flags = ["-aHAXn", "--checksum", "--delete", "--itemize-changes", "--modify-window=-1"];
  return execFileSync("rsync", [...flags, `${from}/`, `${to}/`], { encoding: "utf8" });
}

function makeSite(folder: string): void {
  const at = (name: string) => join(folder, name);
  for (const name of ["empty", "d/deeper", "acl", "closed"]) fs.mkdirSync(at(name), { recursive: true });
  for (let file = 0; file < 300; file++) fs.writeFileSync(at(`d/deeper/file-${file}`), `${file}\n`.repeat(file));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a, 0x27, 0x22])]), "odd name");
  fs.writeFileSync(at("n".repeat(255)), "long name");
  fs.writeFileSync(at("setuid"), "");
  fs.chmodSync(at("setuid"), 0o6755);
  fs.linkSync(at("setuid"), at("d/hard"));
  fs.symlinkSync("../no where\n", at("d/link"));
  fs.writeFileSync(at("sparse"), "");
  fs.truncateSync(at("sparse"), 8 * 1024 * 1024);
  execFileSync("setfattr", ["-n", "user.binary", "-v", "0x00ff10", at("sparse")]);
  execFileSync("setfattr", ["-n", "user.dir", "-v", "yes", at("empty")]);
  execFileSync("setfacl", ["-m", "u:1:rwx,d:u:1:rx", at("acl")]);
  fs.writeFileSync(at("acl/inherits"), "");
  execFileSync("setfacl", ["-m", "u:2:r,m::r", at("d/deeper/file-7")]);
  fs.chmodSync(at("closed"), 0o1500);
  if (isRoot) {
    fs.lchownSync(at("d/link"), 1, 2);
    fs.chownSync(at("d/deeper/file-1"), 54_321, 54_322);
    execFileSync("setcap", ["cap_net_raw+ep", at("d/deeper/file-2")]);
  }
  execFileSync("touch", ["-h", "-d", "@1234567890.987654321", at("d/link"), at("d/deeper"), at("empty")]);
}

test.runIf(haveTools)(
  "a restored tree is the same by rsync, to the nanosecond, the attribute and the hard link",
  async () => {
    const from = tempDir();
    const to = tempDir();
    makeSite(from);

    const warnings = await copyTree(from, to, { overwrite: false });

    const copy = join(to, from);
    expect(difference(from, copy)).toBe("");
    expect(warnings).toEqual([]);
    expect(fs.lstatSync(join(copy, "d/link"), { bigint: true }).mtimeNs).toBe(1_234_567_890_987_654_321n);
    expect(fs.statSync(join(copy, "sparse"))).toMatchObject({ size: 8 * 1024 * 1024 });
    expect(fs.statSync(join(copy, "sparse")).blocks).toBeLessThan(100);
  },
);

test.runIf(haveTools)("a tree restored over another state of itself is the same again", async () => {
  const from = tempDir();
  const to = tempDir();
  const copy = join(to, from);
  makeSite(from);
  await copyTree(from, to, { overwrite: false });
  fs.rmSync(join(copy, "d/hard"));
  fs.mkdirSync(join(copy, "d/hard"));
  fs.rmSync(join(copy, "empty"), { recursive: true });
  fs.symlinkSync("/", join(copy, "empty"));
  fs.writeFileSync(join(copy, "d/deeper/file-9"), "changed");
  execFileSync("setfattr", ["-n", "user.extra", "-v", "1", join(copy, "d")]);
  expect(difference(from, copy)).not.toBe("");

  await copyTree(from, to, { overwrite: true });

  expect(difference(from, copy)).toBe("");
});

test("the plan says what is in the target, and what happens to it", async () => {
  const folder = tempDir();
  const full = join(folder, "full");
  fs.mkdirSync(full);
  for (const name of ["a", "b"]) fs.writeFileSync(join(full, name), "");
  const engine = openEngine(options.parse({ paths: [full, join(full, "a")] }), {});
  const inspect = (to?: string) =>
    engine.inspectTarget({ entries: [], ...(to === undefined ? {} : { to }) }, contextFor(folder));

  expect(await inspect(join(folder, "new"))).toMatchObject({
    exists: false,
    contents: [],
    overwrites: [],
    downtime: false,
  });
  expect(await inspect(full)).toMatchObject({ place: full, exists: true, contents: [`${full}: 2 entries (a, b)`] });
  expect(await inspect("/dev/null")).toMatchObject({ contents: ["/dev/null: a device, pipe or socket"] });
  expect(await inspect()).toMatchObject({ place: `${full}, ${full}/a`, exists: true, downtime: true });
});
