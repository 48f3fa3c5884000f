import { randomBytes, randomUUID } from "node:crypto";
import {
  CreateBucketCommand,
  DeleteBucketCommand,
  DeleteObjectCommand,
  HeadObjectCommand,
  PutBucketPolicyCommand,
  PutObjectCommand,
  S3Client,
} from "@aws-sdk/client-s3";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { ProbeResult, Storage, StorageContext } from "../../../src/storage/storage.ts";
import { type Radosgw, type S3Login, startRadosgw } from "../../servers/radosgw.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const BUCKET = "backups";
const LOCKED_BUCKET = "locked-backups";
const SECRETS = /secret-of-40/;

describe.runIf(requireOrSkip("radosgw"))("s3 on Ceph", () => {
  let server: Radosgw;
  let client: S3Client;

  beforeAll(async () => {
    server = await startRadosgw();
    client = clientOf(server.owner);
    await client.send(new CreateBucketCommand({ Bucket: BUCKET }));
    await client.send(new CreateBucketCommand({ Bucket: LOCKED_BUCKET, ObjectLockEnabledForBucket: true }));
  });

  afterAll(async () => {
    client?.destroy();
    await server?.stop();
  });

  function clientOf(login: S3Login): S3Client {
    return new S3Client({
      endpoint: server.endpoint,
      region: "us-east-1",
      forcePathStyle: true,
      credentials: { accessKeyId: login.access_key_id, secretAccessKey: login.secret_access_key },
    });
  }

  const options = (given: Readonly<Record<string, unknown>> = {}) => ({
    bucket: BUCKET,
    endpoint: server.endpoint,
    ...server.owner,
    ...given,
  });

  async function openWith(
    given: Readonly<Record<string, unknown>>,
    context: Partial<StorageContext> = {},
  ): Promise<Storage> {
    const storage = await storageDefinitions.s3!.open(options(given), { name: "offsite", ...context });
    onTestFinished(() => storage.close());
    return storage;
  }

  const newPlace = (given: Readonly<Record<string, unknown>>) => async () => {
    const prefix = `tests/${randomUUID()}`;
    const open = () => storageDefinitions.s3!.open(options({ prefix, ...given }), { name: "offsite" });
    return { storage: await open(), again: open };
  };

  const readOnlyGuest = async () => {
    const principal = { AWS: ["arn:aws:iam:::user/guest"] };
    const Statement = [
      { Effect: "Allow", Principal: principal, Action: ["s3:ListBucket"], Resource: [`arn:aws:s3:::${BUCKET}`] },
      { Effect: "Allow", Principal: principal, Action: ["s3:GetObject"], Resource: [`arn:aws:s3:::${BUCKET}/*`] },
    ];
    const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
    await client.send(new PutBucketPolicyCommand({ Bucket: BUCKET, Policy }));
  };

  async function failureOf(promise: Promise<unknown>) {
    const error: unknown = await promise.then(
      () => undefined,
      (reason) => reason,
    );
    expect(error).toBeInstanceOf(Error);
    expect(JSON.stringify(error)).not.toMatch(SECRETS);
    expect(String(error)).not.toMatch(SECRETS);
    return error;
  }

  storageSuite({ name: "s3 that is known to refuse overwriting", open: newPlace({ conditional_writes: true }) });
  storageSuite({ name: "s3 that looks first", exclusiveNames: false, open: newPlace({}) });

  describe("a place", () => {
    test("that is missing is STORAGE_NOT_FOUND, and made where that is asked for", async () => {
      const bucket = `new-${randomUUID()}`;

      expect(await failureOf(openWith({ bucket }))).toMatchObject({
        code: "STORAGE_NOT_FOUND",
        message: expect.stringContaining('storage "offsite" cannot be opened: NoSuchBucket'),
        hint: expect.stringContaining(bucket),
      });
      const made = await openWith({ bucket }, { create: true });

      await made.put("object", Buffer.from("x"));
      await (await openWith({ bucket }, { create: true })).put("object", Buffer.from("x"));
    });

    test("that goes away while it is used is not an empty one", async () => {
      const storage = await openWith({ bucket: "short-lived" }, { create: true });
      await client.send(new DeleteBucketCommand({ Bucket: "short-lived" }));
      const collect = async () => {
        for await (const _ of storage.list(""));
      };

      const put = () => storage.put("a", Buffer.from("x"));
      for (const call of [collect, () => storage.stat("a"), () => storage.get("a"), put]) {
        expect(await failureOf(call())).toMatchObject({ code: "STORAGE_NOT_FOUND" });
      }
    });

    test("holds what others put there, and lists none of it", async () => {
      const storage = await openWith({ prefix: "shared" });
      for (const Key of [
        "shared/",
        "shared/folder/",
        "shared/a b",
        "shared/ä",
        "shared//x",
        "shared/.part-1",
        "sharedx",
      ]) {
        await client.send(new PutObjectCommand({ Bucket: BUCKET, Key, Body: "foreign" }));
      }
      await storage.put("folder/own", Buffer.from("x"));

      const keys: string[] = [];
      for await (const { key } of storage.list("")) keys.push(key);
      expect(keys).toEqual(["folder/own"]);
    });
  });

  describe("a login", () => {
    test.each([
      ["unknown", { access_key_id: "nobody", secret_access_key: "x" }, "InvalidAccessKeyId"],
      ["with the wrong secret", { secret_access_key: "wrong-secret-of-40" }, "SignatureDoesNotMatch"],
    ])("%s is STORAGE_DENIED", async (_, login, words) => {
      expect(await failureOf(openWith(login))).toMatchObject({
        code: "STORAGE_DENIED",
        message: expect.stringContaining(words),
        retryable: false,
      });
    });

    test("without any right is STORAGE_DENIED when the storage is opened", async () => {
      expect(await failureOf(openWith({ bucket: LOCKED_BUCKET, ...server.guest }))).toMatchObject({
        code: "STORAGE_DENIED",
        hint: expect.stringContaining("docs/storage/s3.md"),
      });
    });

    test("that may only read reads, and is refused to write and to remove", async () => {
      await readOnlyGuest();
      const storage = await openWith({ prefix: "read-only" });
      await storage.put("object", Buffer.from("bytes"));
      const reader = await openWith({ prefix: "read-only", ...server.guest });

      expect((await reader.get("object"))?.toString()).toBe("bytes");
      expect(await reader.stat("nothing")).toBeUndefined();
      expect(await failureOf(reader.put("other", Buffer.from("x")))).toMatchObject({ code: "STORAGE_DENIED" });
      expect(await failureOf(reader.remove("object"))).toMatchObject({ code: "STORAGE_DENIED" });
      expect((await storage.get("object"))?.toString()).toBe("bytes");
    });

    test("from a host whose clock is wrong is CLOCK_SKEWED", async () => {
      vi.useFakeTimers({ toFake: ["Date"], now: Date.now() - 20 * 60_000 });
      onTestFinished(() => void vi.useRealTimers());

      expect(await failureOf(openWith({}))).toMatchObject({ code: "CLOCK_SKEWED", retryable: false });
    });
  });

  test("a quota that is reached is INSUFFICIENT_STORAGE", async () => {
    const login = await server.userWithQuota("small", 1_000_000);
    const storage = await openWith({ bucket: "small-bucket", ...login }, { create: true });
    await storage.put("fits", randomBytes(500_000));

    // Ceph goes by what it counted a moment ago: an object or two may pass.
    let failure: unknown;
    let key = "";
    for (let n = 0; n < 20 && failure === undefined; n++) {
      key = `too-much-${n}`;
      failure = await storage.put(key, randomBytes(600_000)).catch((error: unknown) => error);
    }

    expect(failure).toMatchObject({ code: "INSUFFICIENT_STORAGE", hint: expect.stringContaining("quota") });
    expect(await storage.stat(key)).toBeUndefined();
  });

  describe("over TLS", () => {
    test("a certificate that nobody vouches for is refused, with the option that helps", async () => {
      expect(await failureOf(openWith({ endpoint: server.tlsEndpoint }))).toMatchObject({
        code: "STORAGE_FAILED",
        retryable: false,
        hint: expect.stringContaining("ca_file"),
      });
    });

    test("one whose CA is named is accepted, and 32 MiB of shared memory come back", async () => {
      const storage = await openWith({ endpoint: server.tlsEndpoint, ca_file: server.caFile, prefix: "tls" });
      const bytes = new Uint8Array(new SharedArrayBuffer(32 * 1024 * 1024));
      bytes.set(randomBytes(bytes.length));

      await storage.put("object", bytes);

      expect((await storage.get("object"))?.equals(bytes)).toBe(true);
    });

    test("a missing ca_file is CONFIG_INVALID", async () => {
      expect(await failureOf(openWith({ ca_file: "/nowhere/ca.pem" }))).toMatchObject({ code: "CONFIG_INVALID" });
    });

    test("a server that speaks no TLS is told so", async () => {
      const endpoint = server.endpoint.replace("http:", "https:");

      expect(await failureOf(openWith({ endpoint }))).toMatchObject({ hint: expect.stringContaining("TLS") });
    });
  });

  describe("encryption by the service", () => {
    test("with a key of its own is asked for with every object", async () => {
      const storage = await openWith({ prefix: "kms", sse: "aws:kms", sse_kms_key: "testkey-1" });
      await storage.put("object", Buffer.from("bytes"));
      await storage.put("object", Buffer.from("bytes"));

      const facts = await client.send(new HeadObjectCommand({ Bucket: BUCKET, Key: "kms/object" }));
      expect(facts).toMatchObject({ ServerSideEncryption: "aws:kms", SSEKMSKeyId: "testkey-1" });
      expect((await storage.get("object"))?.toString()).toBe("bytes");
    });

    test("with a key that it does not have is refused, and says which option names it", async () => {
      const storage = await openWith({ prefix: "kms", sse: "aws:kms", sse_kms_key: "no-such-key" });

      expect(await failureOf(storage.put("other", Buffer.from("bytes")))).toMatchObject({
        code: "STORAGE_DENIED",
        hint: expect.stringContaining("sse_kms_key"),
      });
    });
  });

  describe("object lock", () => {
    test("keeps each version: deleting hides it, and nobody can destroy it before its time", async () => {
      const lock = { object_lock: "compliance", object_lock_days: 2 };
      const storage = await openWith({ bucket: LOCKED_BUCKET, ...lock });
      await storage.put("object", Buffer.from("bytes"));

      const facts = await client.send(new HeadObjectCommand({ Bucket: LOCKED_BUCKET, Key: "object" }));
      expect(facts.ObjectLockMode).toBe("COMPLIANCE");
      const days = ((facts.ObjectLockRetainUntilDate?.getTime() ?? 0) - Date.now()) / 86_400_000;
      expect(days).toBeGreaterThan(1.9);
      expect(days).toBeLessThan(2.1);

      await storage.remove("object");
      expect(await storage.stat("object")).toBeUndefined();
      const version = { Bucket: LOCKED_BUCKET, Key: "object", VersionId: facts.VersionId };
      await expect(client.send(new DeleteObjectCommand(version))).rejects.toMatchObject({
        $metadata: { httpStatusCode: 403 },
      });
      await storage.put("object", Buffer.from("other bytes"));
    });

    test("is refused in a bucket that was made without it", async () => {
      const storage = await openWith({ prefix: "unlocked", object_lock: "governance", object_lock_days: 1 });

      expect(await failureOf(storage.put("object", Buffer.from("x")))).toMatchObject({
        code: "STORAGE_FAILED",
        hint: expect.stringContaining("object_lock"),
      });
    });

    test("where removing is refused, it says until when", async () => {
      const Resource = [`arn:aws:s3:::${LOCKED_BUCKET}/*`];
      const Statement = [{ Effect: "Deny", Principal: { AWS: ["*"] }, Action: ["s3:DeleteObject"], Resource }];
      const Policy = JSON.stringify({ Version: "2012-10-17", Statement });
      await client.send(new PutBucketPolicyCommand({ Bucket: LOCKED_BUCKET, Policy }));
      const storage = await openWith({ bucket: LOCKED_BUCKET, object_lock: "governance", object_lock_days: 1 });
      await storage.put("kept", Buffer.from("bytes"));

      expect(await failureOf(storage.remove("kept"))).toMatchObject({
        code: "RETENTION_POLICY_VIOLATION",
        message: expect.stringMatching(/locked until \d{4}-\d\d-\d\d/),
      });
    });
  });

  test("what the service can do is found out with real requests, in the folder that is given", async () => {
    const storage = await openWith({ prefix: "probed" });

    const results: ProbeResult[] = [];
    for await (const result of storage.probe!("scratch")) results.push(result);

    expect(Object.fromEntries(results.map(({ what, outcome }) => [what, outcome]))).toEqual({
      "conditional writes": "works",
      "signed SHA-256": "works",
      "SHA-256 checksums": "absent",
      "Content-MD5": "works",
      "checksum trailers": "absent",
      "storage class": "works",
      "object lock": "absent",
      versioning: "absent",
    });
    expect(results.flatMap(({ setting }) => setting ?? [])).toEqual([
      "conditional_writes: true",
      "checksums: when_required",
    ]);
    for await (const { key } of storage.list("")) expect(key).toMatch(/^scratch\//);
  });

  test("checksums: when_required is stored and read like the others", async () => {
    const storage = await openWith({ prefix: "md5", checksums: "when_required" });
    const bytes = randomBytes(100_000);

    await storage.put("object", bytes);

    expect((await storage.get("object"))?.equals(bytes)).toBe(true);
    await storage.put("object", bytes);
  });

  test("an object in parts, as other programs put them, is compared by its bytes", async () => {
    const storage = await openWith({ prefix: "ranges" });
    const bytes = randomBytes(1000);
    await client.send(new PutObjectCommand({ Bucket: BUCKET, Key: "ranges/object", Body: bytes }));

    expect(await storage.put("object", bytes)).toMatchObject({ sizeBytes: 1000 });
    await expect(storage.put("object", randomBytes(1000))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });
});
