import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, test } from "vitest";
import { cliEnvironment } from "../helpers/run-cli.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const SCRIPT = join(import.meta.dirname, "../../scripts/quickstart.sh");

interface Tour {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly home: string;
  readonly temporary: string;
}

/** `programs` are found before the system's own. */
function takeTour(programs: Readonly<Record<string, string>> = {}): Tour {
  const directory = tempDir();
  const [home, temporary, bin] = ["home", "temporary", "bin"].map((name) => join(directory, name)) as [
    string,
    string,
    string,
  ];
  for (const each of [home, temporary, bin]) mkdirSync(each);
  for (const [name, text] of Object.entries(programs)) {
    writeFileSync(join(bin, name), text);
    chmodSync(join(bin, name), 0o755);
  }
  const environment = cliEnvironment(home, { TMPDIR: temporary, PATH: `${bin}:${process.env.PATH}` });
  const { status, stdout, stderr } = spawnSync(SCRIPT, { env: environment, encoding: "utf8", timeout: 120_000 });
  return { status, stdout, stderr, home, temporary };
}

test("the tour backs a site up while it is used, restores it elsewhere, and finds that nothing differs", () => {
  const tour = takeTour();

  expect(tour.stderr).not.toContain("ended early");
  expect(tour.status).toBe(0);
  expect(tour.stdout).toContain("Nothing differs.");
  expect(tour.stdout.match(/orders that differ from the shop's own: 0/g)).toHaveLength(2);
  expect(tour.stdout.match(/^\$ diff .*$/gm)).toHaveLength(3);
  expect(readdirSync(tour.temporary)).toHaveLength(1);
  expect(readdirSync(tour.home)).toEqual([]);
});

test("a tour in which something goes wrong fails, and says where", () => {
  const tour = takeTour({ ls: "#!/bin/sh\nexit 5\n" });

  expect(tour.status).toBe(5);
  expect(tour.stderr).toContain("The tour ended early, with status 5, at: ls site");
  expect(tour.stderr).toContain(tour.temporary);
});
