import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { forge } from "../helpers/forge.ts";
import { BLOCK_FORGERIES, FORGED_AS_IT_WAS, FORGERIES, type NamedForgery } from "../helpers/forgeries.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const FIXTURE = path.join(import.meta.dirname, "../fixtures/format-v1/open-zstd");
const PROGRAM = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const DIRECTORY = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(1);
});
afterAll(async () => pool.close());

/** recover.mjs on a copy of the fixture where a source was forged. */
async function restoreForged({ source, ...forgery }: NamedForgery) {
  const state = tempDir();
  const repository = path.join(state, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  await forge(repository, { directory: DIRECTORY, source }, forgery, { pool, directory: state });
  const place = path.join(state, "to");
  fs.mkdirSync(place);
  const args = [PROGRAM, "restore", repository, "8e24a759", source, "--to", path.join(place, "restored")];
  const { status, stderr } = spawnSync(process.execPath, [...args, "--allow-unencrypted"], { encoding: "utf8" });
  return { status, stderr, written: fs.readdirSync(place) };
}

test.each(FORGED_AS_IT_WAS)("recover.mjs restores what says nothing wrong: $what", async (forgery) => {
  const { status, stderr, written } = await restoreForged(forgery);

  expect(status === 0 ? "done" : stderr).toBe("done");
  expect(written).toEqual(["restored"]);
});

test.each([...FORGERIES, ...BLOCK_FORGERIES])("recover.mjs refuses $what", async (forgery) => {
  const { status, stderr, written } = await restoreForged(forgery);

  expect({ status, written }).toEqual({ status: 4, written: [] });
  expect(stderr).not.toContain("\n    at ");
});

test("recover.mjs writes a stream into an empty folder, and nothing beside it whatever its kind is called", async () => {
  const state = tempDir();
  const repository = path.join(state, "repository");
  const to = path.join(state, "around/to");
  fs.mkdirSync(to, { recursive: true });
  const restored = () => {
    const args = [PROGRAM, "restore", repository, "8e24a759", "app", "--to", to];
    const { status } = spawnSync(process.execPath, args, { encoding: "utf8" });
    return { status, written: fs.readdirSync(path.join(state, "around"), { recursive: true }).sort() };
  };
  fs.cpSync(FIXTURE, repository, { recursive: true });
  expect(restored()).toEqual({ status: 0, written: ["to", "to/app.sqlite"] });
  fs.rmSync(path.join(to, "app.sqlite"));

  const forgery = FORGERIES.find(({ what }) => what === "metadata with a kind that is a path");
  if (forgery === undefined) throw new Error("no such forgery");
  await forge(repository, { directory: DIRECTORY, source: "app" }, forgery, { pool, directory: state });

  expect(restored()).toEqual({ status: 4, written: ["to"] });
});

test("recover.mjs refuses a root with bytes behind its last block", () => {
  const state = tempDir();
  const repository = path.join(state, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  fs.appendFileSync(path.join(repository, DIRECTORY, "app.sqlite.root.zst.00000000"), "\0");
  const to = path.join(state, "restored");
  const args = [PROGRAM, "restore", repository, "8e24a759", "app", "--to", to];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8" });

  expect(status).toBe(4);
  expect(stderr).toContain("longer than it should be");
});

test("recover.mjs lists and restores the others where a device without an end lies in an object's place", () => {
  const state = tempDir();
  const repository = path.join(state, "repository");
  fs.cpSync(FIXTURE, repository, { recursive: true });
  const folder = path.join(repository, "full/daily/2099-01-01/full-00-00-00-8e24a759");
  fs.mkdirSync(folder, { recursive: true });
  fs.symlinkSync("/dev/zero", path.join(folder, "metadata.json"));
  const run = (...args: readonly string[]) => spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });

  const listed = run("list", repository);
  const to = path.join(state, "restored");
  const restored = run("restore", repository, "8e24a759", "app", "--to", to, "--allow-unencrypted");

  expect(listed).toMatchObject({ status: 0, stdout: expect.stringContaining("it is not a file") });
  expect(restored).toMatchObject({ status: 0, stderr: expect.stringContaining("it is not a file") });
});

test.each(["metadata.json", "SHA256SUMS", "keys-1-00000000.json"])(
  "recover.mjs lists and restores the others where %s has grown to 2 GiB",
  (name) => {
    const state = tempDir();
    const repository = path.join(state, "repository");
    fs.cpSync(FIXTURE, repository, { recursive: true });
    const folder = path.join(repository, "full/daily/2020-01-01/full-00-00-00-00000000");
    fs.mkdirSync(folder, { recursive: true });
    for (const file of [path.join(folder, name), path.join(repository, DIRECTORY, name)]) {
      fs.appendFileSync(file, "");
      fs.truncateSync(file, 2 ** 31);
    }
    const run = (...args: readonly string[]) => spawnSync(process.execPath, [PROGRAM, ...args], { encoding: "utf8" });

    const listed = run("list", repository);
    const to = path.join(state, "restored");
    const restored = run("restore", repository, "8e24a759", "app", "--to", to, "--allow-unencrypted");

    expect(listed).toMatchObject({ status: 0, stdout: expect.stringMatching(/[1-9]\d* backups?\n$/) });
    // No key is needed for this one, so only the other two are.
    expect(restored.status === 0).toBe(name.startsWith("keys"));
    expect(fs.existsSync(to)).toBe(restored.status === 0);
  },
);
