import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
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
