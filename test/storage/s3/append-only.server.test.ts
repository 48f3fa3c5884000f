import { CreateBucketCommand, PutBucketPolicyCommand, S3Client } from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agedSite } from "../../operations/cleanup/aged-site.ts";
import { type Radosgw, startRadosgw } from "../../servers/radosgw.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

const BUCKET = "append-only";
const GUEST = { AWS: ["arn:aws:iam:::user/guest"] };

describe.runIf(requireOrSkip("radosgw"))("a bucket whose policy lets the login write and not delete", () => {
  let server: Radosgw;
  let client: S3Client;
  beforeAll(async () => {
    server = await startRadosgw();
    const { endpoint, owner } = server;
    const credentials = { accessKeyId: owner.access_key_id, secretAccessKey: owner.secret_access_key };
    client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
  });
  afterAll(async () => {
    client?.destroy();
    await server?.stop();
  });

  async function permit(...onObjects: readonly string[]): Promise<void> {
    const allow = (Action: readonly string[], Resource: string) => ({
      ...{ Effect: "Allow", Principal: GUEST, Action },
      Resource: [`arn:aws:s3:::${Resource}`],
    });
    const Statement = [allow(["s3:ListBucket"], BUCKET), allow(onObjects, `${BUCKET}/*`)];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
  }

  it("gets backups, keeps them from delete and cleanup, which change nothing there, and says so", async () => {
    await permit("s3:GetObject", "s3:PutObject");
    const offsite = { type: "s3", role: "replica", bucket: BUCKET, endpoint: server.endpoint, ...server.guest };
    const { site, made } = await agedSite({ remotes: { offsite } });
    const old = await made(60);
    const newest = await made(1);
    const deletion = { reference: newest, withDescendants: false, force: true, reason: "test", lockWaitMs: 0 };
    const remove = async () => site.operations.delete(deletion, await site.operations.planDelete(deletion));

    await expect(remove()).rejects.toMatchObject({
      code: "STORAGE_DENIED",
      message: expect.stringMatching(
        /^nothing is deleted: this login may not delete in storage "offsite": .*AccessDenied/,
      ),
    });
    const { status, copies } = await site.operations.show(newest);
    const cleaned = await site.operations.cleanup({ force: false, lockWaitMs: 0 });
    const kept = await site.operations.show(old);
    const quick = { all: true, deep: false, quick: true, components: [], storage: "offsite" };
    const verified = await site.operations.verify(quick);
    await permit("s3:GetObject", "s3:PutObject", "s3:DeleteObject");
    const deleted = await remove();
    const cleanedThen = await site.operations.cleanup({ force: false, lockWaitMs: 0 });

    expect({ status, states: copies.map(({ state }) => state) }).toEqual({
      status: "completed",
      states: ["complete", "complete"],
    });
    expect(cleaned.storages).toMatchObject([
      { name: "local", removed: [old], notRemoved: [] },
      { name: "offsite", removed: [], notRemoved: [{ backupId: old, error: { code: "STORAGE_DENIED" } }] },
    ]);
    expect(kept).toMatchObject({ status: "completed", copies: [{ storage: "offsite", state: "complete" }] });
    expect(verified.passed).toBe(true);
    expect(deleted.deleted).toEqual([newest]);
    expect(cleanedThen.storages[1]).toMatchObject({ name: "offsite", notRemoved: [] });
  });
});
