import { setTimeout as sleep } from "node:timers/promises";
import {
  CreateBucketCommand,
  ListObjectVersionsCommand,
  PutObjectRetentionCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { exitStatusOfCleanup } from "../../../src/operations/exit-status.ts";
import type { CleanupPlan } from "../../../src/operations/operations.ts";
import { agedSite } from "../../operations/cleanup/aged-site.ts";
import { type Radosgw, startRadosgw } from "../../servers/radosgw.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

const BUCKET = "locked-backups";
const ONCE = { force: false, lockWaitMs: 0 };

describe.runIf(requireOrSkip("radosgw"))("cleanup of a bucket with object lock", () => {
  let server: Radosgw;
  let client: S3Client;
  beforeAll(async () => {
    server = await startRadosgw();
    const { endpoint, owner } = server;
    const credentials = { accessKeyId: owner.access_key_id, secretAccessKey: owner.secret_access_key };
    client = new S3Client({ endpoint, region: "us-east-1", forcePathStyle: true, credentials });
  });
  afterAll(async () => {
    client?.destroy();
    await server?.stop();
  });

  it("leaves a backup that is locked, with what it builds on, says until when, and removes it when that is over", async () => {
    const { endpoint, owner } = server;
    await client.send(new CreateBucketCommand({ Bucket: BUCKET, ObjectLockEnabledForBucket: true }));
    const offsite = {
      ...{ type: "s3", role: "replica", bucket: BUCKET, endpoint, ...owner },
      ...{ object_lock: "governance", object_lock_days: 1 },
    };
    const { site, made } = await agedSite({ remotes: { offsite } });
    const full = await made(60);
    const child = await made(59, { mode: "incremental" });
    await made(1);
    const unlock = async (id: string, until: Date) => {
      const { location } = await site.operations.show(id);
      const Key = `${location.slice(location.indexOf(":") + 1)}/metadata.json`;
      const Retention = { Mode: "GOVERNANCE", RetainUntilDate: until } as const;
      await client.send(
        new PutObjectRetentionCommand({ Bucket: BUCKET, Key, Retention, BypassGovernanceRetention: true }),
      );
    };
    // Of the other one the time is over already: it stays for what builds on it.
    const soon = new Date(Date.now() + 2_000);
    await unlock(full, soon);
    await sleep(2_500);

    const plan = await site.operations.planCleanup();
    const locked = await site.operations.cleanup(ONCE);
    const { copies, status } = await site.operations.show(child);
    await unlock(child, new Date(Date.now() + 2_000));
    await sleep(2_500);
    const planned = await site.operations.planCleanup();
    const over = await site.operations.cleanup(ONCE);

    const fates = ({ storages }: CleanupPlan) =>
      storages.map(({ name, verdicts }) => [name, ...verdicts.map(({ keep, reasons }) => [keep, reasons[0]?.kind])]);
    expect(fates(plan)).toEqual([
      ["local", [true, "date"], [false, "expired"], [false, "expired"]],
      ["offsite", [true, "date"], [true, "locked"], [true, "needed"]],
    ]);
    expect(plan.storages[1]?.verdicts[1]?.reasons[0]?.text).toMatch(/^locked until \d{4}-\d\d-\d\d \d\d:/);
    expect(fates(locked.plan)).toEqual(fates(plan));
    expect(locked.storages).toMatchObject([
      { name: "local", removed: [child, full], locked: [], notRemoved: [] },
      {
        ...{ name: "offsite", removed: [], notRemoved: [], failure: undefined },
        locked: [{ backupId: child, until: expect.any(Date) }],
      },
    ]);
    expect(exitStatusOfCleanup(locked)).toBe(0);
    expect(status).toBe("completed");
    expect(copies).toMatchObject([{ storage: "offsite", state: "complete" }]);
    expect(fates(planned)).toEqual([
      ["local", [true, "date"]],
      ["offsite", [true, "date"], [false, "expired"], [false, "expired"]],
    ]);
    expect(over.storages[1]).toMatchObject({ removed: [child, full], notRemoved: [] });
  });

  it("says of what is deleted that its locked versions stay, until when, and that nothing of them is freed", async () => {
    const { endpoint, owner } = server;
    const Bucket = "deleted-backups";
    await client.send(new CreateBucketCommand({ Bucket, ObjectLockEnabledForBucket: true }));
    const offsite = {
      ...{ type: "s3", role: "replica", bucket: Bucket, endpoint, ...owner },
      ...{ object_lock: "compliance", object_lock_days: 1 },
    };
    const { site, made } = await agedSite({ remotes: { offsite } });
    const full = await made(0);
    const child = await made(0, { mode: "incremental" });
    const request = { reference: full, withDescendants: true, force: true, reason: "test", lockWaitMs: 0 };
    const inDays = (days: number): number => Date.now() + days * 86_400_000;

    const plan = await site.operations.planDelete(request);
    const { deleted, bytesFreed, locked } = await site.operations.delete(request, plan);

    const { Versions = [] } = await client.send(new ListObjectVersionsCommand({ Bucket }));
    const bytes = Versions.reduce((sum, { Size = 0 }) => sum + Size, 0);
    expect(deleted).toEqual([child, full]);
    expect(locked).toEqual([{ storage: "offsite", bytes: expect.any(Number), until: expect.any(Date) }]);
    expect(locked[0]?.bytes).toBeGreaterThan(0.9 * bytes);
    expect(locked[0]?.until.getTime()).toBeGreaterThan(inDays(0.9));
    expect(locked[0]?.until.getTime()).toBeLessThan(inDays(1.1));
    expect(plan).toMatchObject({ unasked: [], locked: [{ storage: "offsite", until: locked[0]?.until }] });
    expect(plan.locked[0]?.bytes).toBeGreaterThan(0.9 * bytes);
    expect(plan.bytesFreed).toBeLessThan(1.1 * bytes);
    // Only what lay in the other storage.
    expect(bytesFreed).toBeGreaterThan(0.9 * bytes);
    expect(bytesFreed).toBeLessThan(1.1 * bytes);
  });
});
