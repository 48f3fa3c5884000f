import { randomBytes } from "node:crypto";
import { appendFileSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { BACKUPCTL } from "../../bench/contenders.ts";
import { type Measurement, measure } from "../../bench/measure.ts";
import { PLACES, type Place } from "../../bench/storages/places.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";

const MIB = 1024 * 1024;
/** More than the bound: what grows with the data would show. */
const DATA_MIB = 480;
/** What one local storage is held to, and for each replica the code of its library and copies of what it sends. */
const MOST_BYTES = 256e6 + 3 * 48e6;
/** Beside the primary on this disk. */
const REMOTE = ["s3", "azure", "sftp"];

/** `npm run build` first. */
describe.runIf(requireOrSkip("radosgw", "azurite", "sshd", "root"))("memory, with four storages at once", () => {
  const directory = suiteTempDir();
  let places: readonly Place[] = [];

  beforeAll(async () => {
    mkdirSync(join(directory, "servers"));
    const starters = PLACES.filter(({ key }) => REMOTE.includes(key));
    places = await Promise.all(starters.map(({ start }) => start(join(directory, "servers"))));
    const remote = places.map(({ key, storage }) => [key, { ...storage("site"), role: "replica" }]);
    mkdirSync(join(directory, "data"));
    const block = randomBytes(8 * MIB);
    for (let n = 0; n < DATA_MIB / 8; n++) {
      // Every block another one: nothing is stored twice.
      block.writeUInt32LE(n, 0);
      for (let at = 0; at < block.length; at += 64 * 1024) block.writeUInt32LE(n * 1000 + at, at + 8);
      appendFileSync(join(directory, "data", `file-${n % 3}`), block);
    }
    writeFileSync(join(directory, "key"), randomBytes(32).toString("hex"), { mode: 0o600 });
    const config = {
      state_dir: join(directory, "state"),
      storages: {
        main: { type: "local", role: "primary", path: join(directory, "main") },
        ...Object.fromEntries(remote),
      },
      encryption: { keys: { main: { provider: "local", key_file: join(directory, "key") } } },
      sources: { data: { engine: "files", paths: [join(directory, "data")] } },
    };
    writeFileSync(join(directory, "backup.config.yaml"), JSON.stringify(config));
    await run("init -q");
  });
  afterAll(() => Promise.all(places.map(({ stop }) => stop())));

  const run = (command: string): Promise<Measurement> => measure(`cd "${directory}"; ${BACKUPCTL} ${command}`, {});

  test("is bounded in a backup to all of them, its verification and a restore", { timeout: 600_000 }, async () => {
    const create = await run("create -q");
    const verify = await run("verify latest -q --storage s3");
    const restore = await run('restore latest -q --yes --to "$PWD/restored"');

    const peaks = { create, verify, restore };
    for (const [command, { peakMemoryBytes }] of Object.entries(peaks)) {
      expect(peakMemoryBytes, command).toBeLessThan(MOST_BYTES);
      expect(peakMemoryBytes, command).toBeGreaterThan(40e6);
    }
  });
});
