import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { beforeAll, describe, expect, test } from "vitest";
import { listTree, manifestSchema } from "../../scripts/format-fixtures/manifest.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const FIXTURES = path.join(import.meta.dirname, "../fixtures/format-v1");
const PROGRAM = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const manifest = manifestSchema.parse(JSON.parse(fs.readFileSync(path.join(FIXTURES, "expected.json"), "utf8")));

/** Files, SQLite, a command's output, environment variables and PostgreSQL; and what is not sealed. */
const SOURCES = Object.entries({
  "sealed-zstd": ["uploads", "app", "settings", "environment", "shop"],
  "open-zstd": ["notes", "app"],
}).flatMap(([repository, sources]) => sources.map((source) => [repository, source] as const));

/** As `recover.mjs` lies beside the backups, on a machine that has a kernel, Node and the key. test/format compares with what was backed up. */
describe.runIf(requireOrSkip("root"))("in a root folder that holds Node, the repository and the key alone", () => {
  const root = suiteTempDir();
  beforeAll(() => {
    const libraries = [...execFileSync("ldd", [process.execPath], { encoding: "utf8" }).matchAll(/(\/\S+) \(0x/g)];
    for (const [, file = ""] of libraries) {
      fs.mkdirSync(path.join(root, path.dirname(file)), { recursive: true });
      fs.copyFileSync(file, path.join(root, file));
    }
    fs.copyFileSync(process.execPath, path.join(root, "node"));
    fs.copyFileSync(PROGRAM, path.join(root, "recover.mjs"));
    fs.cpSync(FIXTURES, path.join(root, "repositories"), { recursive: true });
    fs.writeFileSync(path.join(root, "key"), manifest.key);
    fs.writeFileSync(path.join(root, "passphrase"), manifest.passphrase);
  });

  const keys = ["--key-file", "--passphrase-file"];
  test.each(SOURCES)("recover.mjs gives back of %s: %s", (repository, source) => {
    const [outside = "", ...inside] = ["outside", ...keys.map((_, i) => `inside${i}`)].map(
      (name) => `/${name}-${repository}-${source}`,
    );
    const args = (to: string, key: string, at: string) => [
      `${at}/recover.mjs`,
      ...["restore", `${at}/repositories/${repository}`, "latest", source, "--to", `${at}${to}`],
      ...[key, `${at}/${key.slice(2, -5)}`, "--allow-unencrypted"],
    ];

    const elsewhere = spawnSync(process.execPath, args(outside, "--key-file", root), { encoding: "utf8", env: {} });
    const runs = keys.map((key, i) =>
      spawnSync("/usr/sbin/chroot", [root, "/node", ...args(inside[i] ?? "", key, "")], { encoding: "utf8", env: {} }),
    );

    for (const { status, stderr } of [elsewhere, ...runs]) expect(status, stderr).toBe(0);
    const wanted = contentOf(path.join(root, outside));
    expect(wanted).not.toHaveLength(0);
    for (const to of inside) expect(contentOf(path.join(root, to))).toEqual(wanted);
  });
});

/** Times aside: a database's files have none of their own. */
function contentOf(place: string): readonly unknown[] {
  if (fs.statSync(place).isFile()) return [fs.readFileSync(place, "base64")];
  const entries = listTree(place, ".").slice(1);
  return entries.map((entry) => ({ ...entry, mtime: undefined }));
}
