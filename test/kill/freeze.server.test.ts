import { readFileSync, rmSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { CopyObjectCommand, ListObjectsV2Command, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { isBackupctlError } from "../../src/errors.ts";
import type { Operations } from "../../src/operations/operations.ts";
import { noise } from "../helpers/bytes.ts";
import { said } from "../helpers/said.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { restore } from "../operations/restore/tools.ts";
import { type ColdS3, STANDARD_MS, startColdS3 } from "../servers/cold-s3.ts";
import { type Radosgw, startRadosgw } from "../servers/radosgw.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { createOf, expectNoLeavings, nextRun } from "./after-the-kill.ts";
import { filesBelow, type KillSite, makeKillSite, writeDatabase } from "./killed-program.ts";

const BUCKET = "frozen";
const ALL_MAY_GO = "\nretention: {max_delete: 100%}";
const ONCE = { force: false, lockWaitMs: 0 };
const PARTLY_DONE = 3;
/** Longer than anything stays thawed. */
const LONG_MS = 1000 * 86_400_000;

describe.runIf(requireOrSkip("radosgw"))("an archive with a cold class", { timeout: 36_000_000 }, () => {
  const directory = suiteTempDir();
  const target = path.join(directory, "target/all");
  let server: Radosgw;
  let cold: ColdS3;
  let client: S3Client;
  let site: KillSite;
  /** Builds on all others in the archive. */
  let last: string;
  let packs: readonly string[];
  let whole: readonly string[];
  let putBack = async (): Promise<void> => undefined;

  beforeAll(async () => {
    server = await startRadosgw({ storageClasses: ["GLACIER"] });
    cold = await startColdS3(server.port);
    const { access_key_id, secret_access_key } = server.owner;
    client = new S3Client({
      ...{ endpoint: server.endpoint, region: "us-east-1", forcePathStyle: true },
      credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
    });
    const login = `access_key_id: ${access_key_id}, secret_access_key: ${secret_access_key}`;
    const place = `bucket: ${BUCKET}, endpoint: "http://127.0.0.1:${cold.port}"`;
    const storages = `  vault: {type: s3, role: archive, ${place}, ${login}, thaw_tier: Standard, thaw_days: 2}`;
    site = await makeKillSite(directory, ALL_MAY_GO, { storages, putBack: () => putBack() });
    await nextRun(site, fillArchive);
    const config = readFileSync(site.configFile, "utf8");
    writeFileSync(site.configFile, config.replace("thaw_tier:", "storage_class: GLACIER, thaw_tier:"));
    site.keep();
    const isData = /\.(tree|sqlite|output)\.zst\.enc\.\d+$/;
    packs = (await keys()).map(({ key }) => key).filter((key) => isData.test(key));
  }, 600_000);
  afterAll(async () => {
    client?.destroy();
    await cold?.stop();
    await server?.stop();
  });

  it("holds the same after a cleanup that is killed while it moves data there, and the next one goes on", async () => {
    putBack = warmAll;
    for (const kill of await site.kills(["cleanup"])) {
      await kill.run();
      await said(kill.what, async () => {
        await nextRun(site, async (operations) => {
          await restoreThawed(operations);
          const { storages } = await operations.cleanup(ONCE);
          expect(storages.flatMap(({ failure, notRemoved }) => [failure ?? [], notRemoved].flat())).toEqual([]);
          expect(await operations.cleanup(ONCE)).toMatchObject({ archived: [], frozen: [] });
        });
        const frozen = (await keys()).filter(({ isCold }) => isCold).map(({ key }) => key);
        expect(frozen).toEqual(packs);
        await expectNoLeavings(site);
      });
    }
  });

  it("is asked for all that a restore needs by the next one when the first was killed while it asked", async () => {
    await nextRun(site, (operations) => operations.cleanup(ONCE));
    rmSync(target, { recursive: true, force: true });
    site.keep();
    putBack = async () => endThaws();
    const kills = await site.kills(["restore", last, "--to", target, "--yes"], PARTLY_DONE);
    const needed = [...cold.asked.keys()].sort();
    for (const kill of kills) {
      await kill.run();
      await said(kill.what, async () => {
        await nextRun(site, restoreThawed);
        expect([...cold.asked.keys()].sort()).toEqual(needed);
        await expectNoLeavings(site);
      });
    }
  });

  async function fillArchive(operations: Operations): Promise<void> {
    const monthly = { retentionDays: 0, retentionClass: "monthly" };
    for (const round of [0, 1, 2, 3, 4]) {
      writeFileSync(path.join(directory, "www/new"), noise(100_000, round));
      writeDatabase(path.join(directory, "app.db"), `round ${round}`);
      ({ id: last } = await createOf(operations, { ...monthly, ...(round > 0 ? { mode: "incremental" } : {}) }));
    }
    await restore(operations, { reference: last, to: target });
    whole = filesBelow(target);
    rmSync(target, { recursive: true });
    await createOf(operations, { retentionClass: "daily" });
    // Else what has come to an archive stays elsewhere as the last one that was verified.
    await operations.verify({ reference: "latest", all: false, deep: false, quick: false, components: [] });
    const { archived } = await operations.cleanup(ONCE);
    expect(archived).toHaveLength(5);
  }

  /** Whatever can't be read by now can be after it was asked for. */
  async function restoreThawed(operations: Operations): Promise<void> {
    const request = { reference: last, to: target };
    try {
      await restore(operations, request);
    } catch (error) {
      if (!isBackupctlError(error, "OBJECT_COLD")) throw error;
      cold.pass(STANDARD_MS);
      await restore(operations, request);
    }
    expect(filesBelow(target)).toEqual(whole);
  }

  async function keys(): Promise<readonly { readonly key: string; readonly isCold: boolean }[]> {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: BUCKET }));
    return Contents.map(({ Key = "", StorageClass }) => ({ key: Key, isCold: StorageClass === "GLACIER" }));
  }

  function endThaws(): void {
    cold.pass(LONG_MS);
    cold.asked.clear();
  }

  async function warmAll(): Promise<void> {
    endThaws();
    for (const { key } of (await keys()).filter(({ isCold }) => isCold)) {
      const CopySource = encodeURI(`${BUCKET}/${key}`);
      await client.send(new CopyObjectCommand({ Bucket: BUCKET, Key: key, CopySource, StorageClass: "STANDARD" }));
    }
  }
});
