import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import { Refusal } from "../../servers/gcs/answers.ts";
import { type FakeGcs, startFakeGcs } from "../../servers/gcs/server.ts";

let service: FakeGcs;
let credentials: string;

beforeAll(async () => {
  service = await startFakeGcs();
  credentials = service.keyOf("writer");
});
afterAll(() => service.stop());

/** What the probe finds in a new bucket with these settings, by what was tried. */
async function found(settings: object, options: object = {}): Promise<Readonly<Record<string, string>>> {
  const bucket = `b-${randomUUID()}`;
  service.addBucket(bucket, settings);
  const definition = storageDefinitions.gcs!;
  const storage = await definition.open(
    { bucket, endpoint: service.endpoint, credentials, prefix: "site", ...options },
    { name: "cloud" },
  );
  onTestFinished(() => storage.close());
  const results: [string, string][] = [];
  for await (const { what, outcome, detail } of storage.probe!("scratch"))
    results.push([what, detail === undefined ? outcome : `${outcome}: ${detail}`]);
  for await (const { key } of storage.list("")) expect(key).toMatch(/^scratch\//);
  return Object.fromEntries(results);
}

function answer(fault: NonNullable<FakeGcs["fault"]>): void {
  service.fault = fault;
  onTestFinished(() => {
    service.fault = undefined;
  });
}

test("what a plain bucket does is found out with real requests, in the folder that is given", async () => {
  expect(await found({})).toEqual({
    "conditional writes": "works",
    "MD5 checksums": "works",
    "storage class": "works: STANDARD",
    versioning: "absent",
    "soft delete": "absent",
    "retention policy": "absent",
  });
});

test("what keeps objects that were deleted, or from being deleted, is told with its time", async () => {
  const settings = {
    versioning: { enabled: true },
    softDeletePolicy: { retentionDurationSeconds: "604800", effectiveTime: "2026-01-01T00:00:00Z" },
    retentionPolicy: { retentionPeriod: "2592000", effectiveTime: "2026-01-01T00:00:00Z" },
  };

  expect(await found(settings, { storage_class: "NEARLINE" })).toMatchObject({
    "storage class": "works: NEARLINE",
    versioning: "works: what is deleted stays as an old version",
    "soft delete": "works: what is deleted stays for 7 days",
    "retention policy": "works: what is put can't be deleted for 30 days, this check's objects too",
  });
});

test("what the smallest role may not ask is not known, and nothing that fails", async () => {
  const forbidden = new Refusal(403, "forbidden", "no storage.buckets.get access to the Google Cloud Storage bucket.");
  answer((call) => (/^GET \/storage\/v1\/b\/[^/?]+(\?|$)/.test(call) ? forbidden : undefined));

  const unknown = "absent: not known, since this login may not ask (403 forbidden)";
  expect(await found({})).toMatchObject({
    "conditional writes": "works",
    versioning: unknown,
    "soft delete": unknown,
    "retention policy": unknown,
  });
});

test("a service that overwrites, accepts wrong checksums or takes another class is found out", async () => {
  answer((call) => (call.startsWith("POST /upload") ? { says: JSON.stringify({ storageClass: "OTHER" }) } : undefined));

  expect(await found({}, { storage_class: "COLDLINE" })).toMatchObject({
    "conditional writes": expect.stringMatching(/^fails: the service overwrites/),
    "MD5 checksums": "absent: a wrong one is accepted",
    "storage class": "fails: objects are stored as OTHER, not COLDLINE",
  });
});

test("an unexpected answer is a result, and no answer is an error that names the storage", async () => {
  answer((call) => (call.startsWith("POST /upload") ? new Refusal(501, "notImplemented", "no") : undefined));
  expect(await found({})).toMatchObject({ "conditional writes": "absent: the service answered 501 notImplemented" });

  answer((call) => (call.startsWith("POST /upload") ? "lose the answer" : undefined));
  await expect(found({})).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    retryable: true,
    message: expect.stringMatching(/^storage "cloud" cannot be probed: /),
  });
});
