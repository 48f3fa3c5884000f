import { readdirSync } from "node:fs";
import { join } from "node:path";
import { GetObjectCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agedSite, DAY_MS } from "../../operations/cleanup/aged-site.ts";
import { NOTHING_ASKED, restore } from "../../operations/restore/tools.ts";
import { type ColdS3, STANDARD_MS, startColdS3 } from "../../servers/cold-s3.ts";
import { type Radosgw, startRadosgw } from "../../servers/radosgw.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

const BUCKET = "cold-backups";
const ONCE = { force: false, lockWaitMs: 0 };

describe.runIf(requireOrSkip("radosgw"))("an archive of the class GLACIER", () => {
  let server: Radosgw;
  let cold: ColdS3;
  beforeAll(async () => {
    server = await startRadosgw({ storageClasses: ["GLACIER"] });
    cold = await startColdS3(server.port);
  });
  afterAll(async () => {
    await cold?.stop();
    await server?.stop();
  });

  it("gets what was verified, tells when it can be read again, and gives it back then", async () => {
    const endpoint = `http://127.0.0.1:${cold.port}`;
    const vault = {
      ...{ type: "s3", role: "archive", bucket: BUCKET, prefix: "site", endpoint, ...server.owner },
      ...{ storage_class: "GLACIER", thaw_tier: "Standard", thaw_days: 2 },
    };
    const { site, made } = await agedSite({ remotes: { vault } });
    const month = await made(60, { retentionClass: "monthly", retentionDays: 14 });
    await made(1);
    const to = join(site.directory, "restored");
    const request = { ...NOTHING_ASKED, reference: month, to };

    const cleaned = await site.operations.cleanup(ONCE);
    expect(cleaned).toMatchObject({ archived: [{ backupId: month }], frozen: [{ backupId: month, to: "vault" }] });
    expect(cleaned.storages).toMatchObject([{ removed: [month] }, { failure: undefined }]);
    expect((await site.operations.show(month)).copies).toMatchObject([{ storage: "vault", state: "complete" }]);
    expect(await site.operations.cleanup(ONCE)).toMatchObject({ archived: [], frozen: [] });

    const plan = await (await site.reopen()).planRestore(request);
    expect(plan.frozen).toMatchObject([{ storage: "vault", packs: 1, asked: 0, thawMs: STANDARD_MS }]);
    expect(cold.asked.size).toBe(0);
    await expect(restore(await site.reopen(), request)).rejects.toMatchObject({ code: "OBJECT_COLD", exitCode: 3 });
    expect([...cold.asked]).toEqual([
      [expect.stringMatching(/www\.tree\.zst\.enc\.00000000$/), { days: "2", tier: "Standard" }],
    ]);
    cold.pass(STANDARD_MS - 1);
    await expect(restore(await site.reopen(), request)).rejects.toThrow("still being thawed");
    cold.pass(1);
    const { sources } = await restore(await site.reopen(), request);
    expect(sources).toMatchObject([{ status: "completed" }]);
    expect(readdirSync(to, { recursive: true }).join()).toContain("at-60");

    cold.pass(2 * DAY_MS);
    const again = { ...request, to: join(site.directory, "again") };
    await expect(restore(await site.reopen(), again)).rejects.toThrow("was asked to thaw 1 pack");
  });

  it("is really not readable behind this line", async () => {
    const [key = ""] = [...cold.asked.keys()];
    const client = new S3Client({
      endpoint: `http://127.0.0.1:${cold.port}`,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: server.owner.access_key_id, secretAccessKey: server.owner.secret_access_key },
    });
    const Key = key.slice(`/${BUCKET}/`.length);
    await expect(client.send(new GetObjectCommand({ Bucket: BUCKET, Key }))).rejects.toThrow("as documented");
    client.destroy();
  });
});
