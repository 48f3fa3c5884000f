import { randomBytes } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { type CliSite, makeCliSite } from "../helpers/cli-site.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const created = z.object({ backup_id: z.string() });
const verified = z.object({
  passed: z.boolean(),
  backups: z.array(
    z.object({
      storage: z.string(),
      verification_status: z.string(),
      repaired: z.array(z.object({ object: z.string(), from: z.string() })),
    }),
  ),
});
const shown = z.object({ copies: z.array(z.object({ storage: z.string(), state: z.string() })) });

interface Made {
  readonly site: CliSite;
  readonly id: string;
}

/** A full backup and one that builds on it, in two storages. */
async function twoCopies(): Promise<Made> {
  const directory = tempDir();
  mkdirSync(join(directory, "www"));
  writeFileSync(join(directory, "www/large.bin"), randomBytes(8_000_000));
  const site = await makeCliSite(`  www: {engine: files, paths: ["{dir}/www"]}`, directory, { replica: true });
  await site.json(created, ["create"]);
  writeFileSync(join(directory, "www/second.bin"), randomBytes(300_000));
  const { backup_id: id } = await site.json(created, ["create", "--mode", "incremental"]);
  return { site, id };
}

function packs({ site }: Made, storage: "repository" | "replica"): readonly string[] {
  return readdirSync(join(site.directory, storage), { recursive: true, encoding: "utf8" })
    .filter((name) => /www\.tree\.zst\.enc\.\d{8}$/.test(name))
    .map((name) => join(site.directory, storage, name));
}

function flip(file: string): void {
  const bytes = readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0x55;
  writeFileSync(file, bytes);
}

function expectRestored({ site }: Made): void {
  for (const name of ["large.bin", "second.bin"]) {
    const restored = readFileSync(join(site.directory, "out", site.directory, "www", name));
    expect(restored.equals(readFileSync(join(site.directory, "www", name)))).toBe(true);
  }
}

describe("with a second storage", () => {
  it("a restore past damage succeeds, warns once for each object, and says what mends it", async () => {
    const made = await twoCopies();
    const { site } = made;
    for (const file of packs(made, "repository")) flip(file);

    const { exitCode, stderr } = await site.run("restore", "latest", "--to", join(site.directory, "out"), "--yes");

    expect(exitCode).toBe(0);
    expectRestored(made);
    const warnings = stderr.split("\n").filter((line) => /^warning: .*does not open/.test(line));
    expect(warnings).toHaveLength(2);
    for (const line of warnings)
      expect(line).toMatch(
        /\(storage "local"\); another copy is read instead, and `backupctl verify \w{8} --storage local --repair` mends it/,
      );
  });

  it("damage is found, then mended, and nothing is left to warn of", async () => {
    const made = await twoCopies();
    const { site, id } = made;
    const [first] = packs(made, "repository");
    if (first === undefined) throw new Error("there is no pack");
    const before = readFileSync(first);
    flip(first);

    const found = await site.json(verified, ["verify", id], [4]);
    const mended = await site.json(verified, ["verify", id, "--repair"]);
    const { copies } = await site.json(shown, ["show", id]);

    expect(found.backups.map(({ storage, verification_status: status }) => `${storage} ${status}`)).toEqual([
      "local failed",
      "second passed",
    ]);
    const object = first.slice(join(site.directory, "repository/").length);
    expect(mended).toMatchObject({
      passed: true,
      backups: [
        { storage: "second", repaired: [] },
        { storage: "local", repaired: [{ object, from: "second" }] },
      ],
    });
    expect(readFileSync(first).equals(before)).toBe(true);
    expect(copies).toMatchObject([{ state: "complete" }, { state: "complete" }]);
    const restored = await site.run("restore", "latest", "--to", join(site.directory, "out"), "--yes");
    expect(restored.stderr).not.toContain("warning");
  });

  it("damage in both copies is exit status 4, and the target is as it was", async () => {
    const made = await twoCopies();
    const { site, id } = made;
    for (const file of [...packs(made, "repository"), ...packs(made, "replica")]) flip(file);

    const restored = await site.run("restore", "latest", "--to", join(site.directory, "out"), "--yes");
    const repaired = await site.run("verify", id, "--repair");

    expect(restored).toMatchObject({ exitCode: 4, stderr: expect.stringContaining("BACKUP_CORRUPTED") });
    expect(existsSync(join(site.directory, "out"))).toBe(false);
    expect(repaired).toMatchObject({ exitCode: 4, stdout: expect.stringContaining("backupctl create --mode full") });
  });

  it.each(["as it is", "gone"])("all is read without the primary, with a catalog that is %s", async (catalog) => {
    const made = await twoCopies();
    const { site } = made;
    renameSync(join(site.directory, "repository"), join(site.directory, "unplugged"));
    if (catalog === "gone") rmSync(join(site.directory, "state"), { recursive: true });

    const list = await site.run("list");
    const show = await site.run("show", "latest");
    const verify = await site.run("verify", "latest");
    const download = await site.run("download", "latest", "--to", join(site.directory, "tars"));
    const restore = await site.run("restore", "latest", "--to", join(site.directory, "out"), "--yes");
    const rebuild = await site.run("catalog", "rebuild");

    const all = [list, show, verify, download, restore, rebuild];
    expect(all.map(({ exitCode }) => exitCode)).toEqual([0, 0, 0, 0, 0, 0]);
    expectRestored(made);
    expect(verify.stderr).toMatch(/warning: storage "local" is left out: .*repository/);
    // A catalog that was made anew knows of no copy there.
    if (catalog === "as it is") expect(restore.stderr).toContain('the copy in storage "local" is not used');
    expect(rebuild.stderr).toMatch(/warning: storage "local" is left out/);
  });
});
