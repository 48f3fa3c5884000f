import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { isNodeAtLeast, runOnBundledNode } from "../../src/platform/bundled-node.ts";
import { tempDir } from "../helpers/temp-dir.ts";

test.each<[string, boolean]>([
  ["20.20.2", false],
  ["22.14.0", false],
  ["22.15.0", true],
  ["24.0.0", true],
  ["26.1.0", true],
])("Node %s is at least 22.15: %s", (version, enough) => {
  expect(isNodeAtLeast(version, [22, 15])).toBe(enough);
});

describe("the program on a Node that is too old", () => {
  const name = `node-${process.platform}-${process.arch}`;

  /** An installation whose bundled Node writes down its arguments and exits with 7. */
  function install(packages: string) {
    const root = join(tempDir(), "node_modules", "backupctl");
    const node = join(root, packages, name, "bin");
    mkdirSync(join(root, "dist"), { recursive: true });
    mkdirSync(node, { recursive: true });
    writeFileSync(join(node, "node"), `#!/bin/sh\nprintf '%s\\n' "$@" > '${root}/called'\nexit 7\n`, { mode: 0o755 });
    return { main: pathToFileURL(join(root, "dist/main.cjs")).href, called: join(root, "called"), root };
  }

  test.each(["node_modules", ".."])(
    "runs on the one that npm put into %s, with its arguments and exit status",
    (packages) => {
      const { main, called, root } = install(packages);

      expect(runOnBundledNode(main, ["list", "--tag", "a b"])).toBe(7);
      expect(readFileSync(called, "utf8")).toBe(`${join(root, "dist/main.cjs")}\nlist\n--tag\na b\n`);
    },
  );

  test("says so where there is none", () => {
    expect(runOnBundledNode(pathToFileURL(join(tempDir(), "dist/main.cjs")).href, [])).toBeUndefined();
  });
});
