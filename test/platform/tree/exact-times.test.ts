import * as fs from "node:fs";
import { join } from "node:path";
import { expect, onTestFinished, test } from "vitest";
import { ExactTimes } from "../../../src/platform/tree/exact-times.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

const DEPTH = 300;

test.runIf(requireOrSkip("python3"))(
  "times are exact below more levels of directories than may be open, in any order",
  async () => {
    allowPython(100);
    const root = tempDir();
    const deep = Array.from({ length: DEPTH }, (_, level) => `level${level}`);
    fs.mkdirSync(join(root, ...deep), { recursive: true });
    const names = [DEPTH, 1, DEPTH, DEPTH - 20, 2, 2, 0, 100, 170, 101].map((depth, i) =>
      [...deep.slice(0, depth), `file${i}`].join("/"),
    );
    const times = new ExactTimes(root);

    for (const [i, name] of names.entries()) {
      fs.writeFileSync(join(root, name), "");
      times.add(name, 1_700_000_000_123_456_789n + BigInt(i));
    }
    const failed = await times.settle();

    expect(failed).toBe(0);
    const found = names.map((name) => fs.statSync(join(root, name), { bigint: true }).mtimeNs);
    expect(found).toEqual(names.map((_, i) => 1_700_000_000_123_456_789n + BigInt(i)));
  },
);

/** A `python3` that has no more files open. */
function allowPython(openFiles: number): void {
  const { PATH = "" } = process.env;
  const folder = tempDir();
  fs.writeFileSync(join(folder, "python3"), `#!/bin/sh\nPATH='${PATH}'\nulimit -n ${openFiles}\nexec python3 "$@"\n`);
  fs.chmodSync(join(folder, "python3"), 0o755);
  process.env.PATH = `${folder}:${PATH}`;
  onTestFinished(() => {
    process.env.PATH = PATH;
  });
}
