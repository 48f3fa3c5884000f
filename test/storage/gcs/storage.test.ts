import { createHash, randomBytes, randomUUID } from "node:crypto";
import { readFileSync } from "node:fs";
import { Storage as GoogleStorage } from "@google-cloud/storage";
import { JWT } from "google-auth-library";
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { startFaultProxy } from "../../helpers/fault-proxy.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { makeCertificate } from "../../servers/certificate.ts";
import { Refusal } from "../../servers/gcs/answers.ts";
import { type FakeGcs, startFakeGcs } from "../../servers/gcs/server.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.gcs!;

let service: FakeGcs;
let writerKey: string;

beforeAll(async () => {
  service = await startFakeGcs();
  writerKey = service.keyOf("writer");
});
afterAll(() => service.stop());

function newBucket(): string {
  const bucket = `b-${randomUUID()}`;
  service.addBucket(bucket);
  return bucket;
}

const optionsFor = (bucket: string) => ({ bucket, endpoint: service.endpoint, credentials: writerKey });

async function open(options: unknown, context: Partial<StorageContext> = {}): Promise<Storage> {
  const storage = await definition.open(options, { name: "cloud", ...context });
  onTestFinished(() => storage.close());
  return storage;
}

/** What happens to the next call whose method and path look like this. */
function breakNext(pattern: RegExp, fault: ReturnType<NonNullable<FakeGcs["fault"]>>): void {
  service.fault = (call) => {
    if (!pattern.test(call)) return undefined;
    service.fault = undefined;
    return fault;
  };
  onTestFinished(() => {
    service.fault = undefined;
  });
}

storageSuite({
  name: "gcs",
  open: async () => {
    const bucket = newBucket();
    const again = () => definition.open({ ...optionsFor(bucket), prefix: "site/" }, { name: "cloud" });
    return { storage: await again(), again };
  },
});

describe("the fake speaks Google's language:", () => {
  /** Google's own client, which asks the fake for its tokens too. */
  function googlesClient(): GoogleStorage {
    const key = JSON.parse(writerKey) as Record<string, string>;
    const scopes = ["https://www.googleapis.com/auth/devstorage.read_write"];
    const authClient = new JWT({ email: key.client_email!, key: key.private_key!, scopes });
    authClient.transporter.interceptors.request.add({
      resolved: async (config) => {
        if (config.url.pathname === "/token") config.url = new URL(key.token_uri!);
        return config;
      },
    });
    const where = { apiEndpoint: service.endpoint, useAuthWithCustomEndpoint: true, projectId: "example-project" };
    return new GoogleStorage({ ...where, authClient, retryOptions: { autoRetry: false } });
  }

  test("Google's own client puts, lists, reads, checks and removes", async () => {
    const bucket = googlesClient().bucket(newBucket());
    const bytes = randomBytes(300_000);
    const file = bucket.file("folder/my object");

    await file.save(bytes, { resumable: false, validation: "md5", preconditionOpts: { ifGenerationMatch: 0 } });

    expect((await file.download({ validation: "crc32c" }))[0].equals(bytes)).toBe(true);
    expect((await file.download({ start: 10, end: 19 }))[0].equals(bytes.subarray(10, 20))).toBe(true);
    const [{ md5Hash, size }] = await file.getMetadata();
    expect({ md5Hash, size }).toEqual({ md5Hash: createHash("md5").update(bytes).digest("base64"), size: "300000" });
    expect((await bucket.getFiles({ prefix: "folder/" }))[0].map(({ name }) => name)).toEqual(["folder/my object"]);
    await file.delete();
    expect((await file.exists())[0]).toBe(false);
  });

  test("it refuses what Google refuses: a name that is taken, and bytes with another hash", async () => {
    const bucket = googlesClient().bucket(newBucket());
    const save = (name: string, metadata: { md5Hash?: string } = {}) =>
      bucket
        .file(name)
        .save("bytes", { resumable: false, metadata, validation: false, preconditionOpts: { ifGenerationMatch: 0 } });
    await save("taken");

    await expect(save("taken")).rejects.toMatchObject({ code: 412 });
    await expect(save("damaged", { md5Hash: Buffer.alloc(16).toString("base64") })).rejects.toMatchObject({
      code: 400,
    });

    expect((await bucket.file("damaged").exists())[0]).toBe(false);
  });
});

describe("opening", () => {
  test("a bucket that does not exist is STORAGE_NOT_FOUND with the way to make it", async () => {
    const missing = {
      code: "STORAGE_NOT_FOUND",
      message: 'storage "cloud" cannot be opened: there is no bucket not-there',
      hint: expect.stringContaining("gcloud storage buckets create gs://not-there"),
    };

    await expect(open(optionsFor("not-there"))).rejects.toMatchObject(missing);
    await expect(open(optionsFor("not-there"), { create: true })).rejects.toMatchObject(missing);
  });

  test("init makes the bucket where its location is given", async () => {
    const bucket = `b-${randomUUID()}`;
    const options = { ...optionsFor(bucket), location: "europe-west3" };

    await (await open(options, { create: true })).put("object", Buffer.from("x"));

    expect(await (await open(options, { create: true })).stat("object")).toMatchObject({ sizeBytes: 1 });
  });

  test("a key that was revoked is STORAGE_DENIED, and not in the message", async () => {
    const revoked = service.keyOf("reader");
    service.keyOf("reader");

    const refused = open({ ...optionsFor(newBucket()), credentials: revoked });

    await expect(refused).rejects.toMatchObject({
      code: "STORAGE_DENIED",
      retryable: false,
      message: expect.stringContaining("Invalid JWT Signature"),
      hint: expect.stringContaining("gcloud iam service-accounts keys list"),
    });
  });

  test("a clock that is wrong is CLOCK_SKEWED", async () => {
    service.clockAheadMs = 3 * 3_600_000;
    onTestFinished(() => {
      service.clockAheadMs = 0;
    });

    await expect(open(optionsFor(newBucket()))).rejects.toMatchObject({
      code: "CLOCK_SKEWED",
      message: expect.stringContaining("clock is 180 minutes behind"),
    });
  });

  test.each([
    ["no JSON", "nonsense"],
    ["of another kind", JSON.stringify({ type: "external_account" })],
    ["without a key", JSON.stringify({ type: "service_account", client_email: "a@example.org" })],
  ])("credentials that are %s are CONFIG_INVALID", async (_, credentials) => {
    await expect(open({ ...optionsFor(newBucket()), credentials })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      hint: expect.stringContaining("credentials_file"),
    });
  });

  test("a private key that is damaged is STORAGE_DENIED, and not in the message", async () => {
    const key = JSON.parse(writerKey) as Record<string, string>;
    const damaged = { ...key, private_key: key.private_key!.replace(/[A-Z]{3}/g, "###") };

    await expect(open({ ...optionsFor(newBucket()), credentials: JSON.stringify(damaged) })).rejects.toMatchObject({
      code: "STORAGE_DENIED",
      message: expect.stringContaining("private key of the credentials is damaged"),
    });
  });

  test("addresses name the place alone, and plain http off this host is refused", async () => {
    const address = (options: object) => definition.address({ bucket: "example", ...options });

    expect(await address({})).toBe("gcs:example");
    expect(await address({ prefix: "a/b/" })).toBe("gcs:example/a/b");
    expect(await address({ endpoint: "https://storage-site.p.googleapis.com" })).toBe("gcs:example");
    expect(await address({ endpoint: "https://gcs.example.org:4443/" })).toBe("gcs:gcs.example.org:4443/example");
    await expect(open({ bucket: "example", endpoint: "http://gcs.example.org" })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      message: expect.stringContaining("endpoint is not encrypted"),
    });
  });
});

test("variables that lead Google's library elsewhere have no meaning here", async () => {
  vi.stubEnv("STORAGE_EMULATOR_HOST", "http://127.0.0.1:9");
  vi.stubEnv("HTTPS_PROXY", "http://127.0.0.1:9");
  vi.stubEnv("HTTP_PROXY", "http://127.0.0.1:9");
  onTestFinished(() => void vi.unstubAllEnvs());
  const storage = await open(optionsFor(newBucket()));

  await storage.put("object", Buffer.from("bytes"));

  expect((await storage.get("object"))?.toString()).toBe("bytes");
});

describe("permissions", () => {
  test("who may read only reads and lists, and is STORAGE_DENIED for put and remove", async () => {
    const bucket = newBucket();
    await (await open(optionsFor(bucket))).put("object", Buffer.from("bytes"));
    const reader = await open({ ...optionsFor(bucket), credentials: service.keyOf("reader") });

    expect((await reader.get("object"))?.toString()).toBe("bytes");
    const denied = { code: "STORAGE_DENIED", hint: expect.stringContaining("docs/storage/gcs.md"), retryable: false };
    await expect(reader.put("new", Buffer.from("x"))).rejects.toMatchObject(denied);
    await expect(reader.remove("object")).rejects.toMatchObject(denied);
  });

  test("no permission that only owners of buckets have is needed", async () => {
    const bucket = newBucket();
    const before = service.calls.length;
    const storage = await open(optionsFor(bucket));
    await storage.put("object", Buffer.from("x"));
    await storage.remove("object");

    expect(service.calls.slice(before).filter((call) => call.includes(`/b/${bucket}?`))).toEqual([]);
  });
});

describe("faults", () => {
  test("a put whose answer was lost may fail once; again it is success, and nothing is written twice", async () => {
    const bucket = newBucket();
    const storage = await open(optionsFor(bucket));
    const bytes = randomBytes(200_000);
    breakNext(/^POST \/upload/, "lose the answer");

    await expect(storage.put("object", bytes)).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    const { resource } = service.object(bucket, "object");

    await storage.put("object", bytes);
    expect(service.object(bucket, "object").resource.generation).toBe(resource.generation);
    await expect(storage.put("object", randomBytes(200_000))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test.each([
    ["put", /^POST \/upload/],
    ["get", /alt=media/],
    ["stat", /^GET .*fields=name/],
    ["list", /^GET .*\/o\?/],
    ["remove", /^DELETE/],
  ])("a %s that is never answered is cut", async (method, pattern) => {
    const storage = await open(optionsFor(newBucket()), { stallTimeoutMs: 300 });
    await storage.put("object", randomBytes(1000));
    breakNext(pattern, "never answer");
    const calls: Record<string, () => Promise<unknown>> = {
      put: () => storage.put("other", randomBytes(1_000_000)),
      get: () => storage.get("object"),
      stat: () => storage.stat("object"),
      list: () => storage.list("")[Symbol.asyncIterator]().next(),
      remove: () => storage.remove("object"),
    };
    const before = performance.now();

    await expect(calls[method]!()).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      message: expect.stringContaining("nothing moved for 0.3 s"),
    });

    expect(performance.now() - before).toBeLessThan(10_000);
  });

  test.each([undefined, { offset: 100, length: 500_000 }])(
    "a download that stands still in the middle is cut (%o)",
    async (range) => {
      const storage = await open(optionsFor(newBucket()), { stallTimeoutMs: 300 });
      await storage.put("object", randomBytes(1_000_000));
      breakNext(/alt=media/, "stop in the middle");

      await expect(storage.get("object", range)).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    },
  );

  test("a large object that could not be sent costs no time beyond", async () => {
    const storage = await open(optionsFor(newBucket()));
    breakNext(/^POST \/upload/, "lose the answer");
    const before = process.cpuUsage().user;

    await expect(storage.put("object", randomBytes(16 * 1024 * 1024))).rejects.toMatchObject({ retryable: true });

    expect((process.cpuUsage().user - before) / 1e6).toBeLessThan(5);
  });

  test("an upload that stands still in the middle is cut, and leaves no object", async () => {
    const bucket = newBucket();
    const proxy = await startFaultProxy(Number(new URL(service.endpoint).port));
    onTestFinished(() => proxy.close());
    const endpoint = `http://${proxy.host}:${proxy.port}`;
    const storage = await open({ ...optionsFor(bucket), endpoint }, { stallTimeoutMs: 300 });
    proxy.breakNext({ kind: "stall", direction: "up", after: 2_000_000 });

    await expect(storage.put("object", randomBytes(16_000_000))).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      message: expect.stringContaining("nothing moved for 0.3 s"),
    });

    expect(proxy.broken).toBe(1);
    expect(await (await open(optionsFor(bucket))).stat("object")).toBeUndefined();
  });

  test.each(["put", "get"])("a %s that is aborted in the middle ends at once with the reason", async (method) => {
    const bucket = newBucket();
    const bytes = randomBytes(16_000_000);
    service.addObject(bucket, "there", bytes);
    const proxy = await startFaultProxy(Number(new URL(service.endpoint).port));
    onTestFinished(() => proxy.close());
    const storage = await open({ ...optionsFor(bucket), endpoint: `http://${proxy.host}:${proxy.port}` });
    proxy.breakNext({ kind: "stall", direction: method === "put" ? "up" : "down", after: 2_000_000 });
    const abort = new AbortController();
    const call =
      method === "put"
        ? storage.put("object", bytes, { signal: abort.signal })
        : storage.get("there", undefined, { signal: abort.signal });
    const ended = expect(call).rejects.toThrow("stop");
    await vi.waitFor(() => expect(proxy.broken).toBe(1), { timeout: 5_000 });

    abort.abort(new Error("stop"));

    await ended;
  });

  test.each([
    ["list", /^GET .*\/o\?/, "<html>Log in to the network</html>"],
    ["list", /^GET .*\/o\?/, '{"welcome":true}'],
    ["list", /^GET .*\/o\?/, '{"kind":"storage#objects","items":7}'],
    ["list", /^GET .*\/o\?/, ""],
    ["stat", /^GET .*fields=name/, "{}"],
    ["put", /^POST \/upload/, "{}"],
    ["get", /alt=media/, "all bytes instead of some"],
  ])(
    "a %s that somebody else answers may be tried again, and tells nothing (%s: %s)",
    async (method, pattern, says) => {
      const storage = await open(optionsFor(newBucket()));
      breakNext(pattern, { says });
      const calls: Record<string, () => Promise<unknown>> = {
        put: () => storage.put("object", randomBytes(10)),
        get: () => storage.get("object", { offset: 0, length: 4 }),
        stat: () => storage.stat("object"),
        list: () => storage.list("")[Symbol.asyncIterator]().next(),
      };

      await expect(calls[method]!()).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    },
  );

  test.each([
    ["list", /^GET .*\/o\?/],
    ["stat", /^GET .*fields=name/],
    ["put", /^POST \/upload/],
    ["get", /alt=media/],
    ["remove", /^DELETE /],
  ])("a page instead of an answer is no %s, no success and no damage", async (method, pattern) => {
    const bucket = newBucket();
    service.addObject(bucket, "there", randomBytes(100));
    const storage = await open(optionsFor(bucket));
    breakNext(pattern, { says: "<html>Log in to the network</html>", headers: { "content-type": "text/html" } });
    const calls: Record<string, () => Promise<unknown>> = {
      put: () => storage.put("object", randomBytes(10)),
      get: () => storage.get("there"),
      stat: () => storage.stat("there"),
      list: () => storage.list("")[Symbol.asyncIterator]().next(),
      remove: () => storage.remove("there"),
    };

    await expect(calls[method]!()).rejects.toMatchObject({
      ...{ code: "STORAGE_FAILED", retryable: true },
      message: expect.stringContaining("what answers there is not Google Cloud Storage"),
    });
  });

  test("a call that is aborted ends at once with the reason", async () => {
    const storage = await open(optionsFor(newBucket()));
    breakNext(/^POST \/upload/, "never answer");
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("stop")), 100);

    await expect(storage.put("object", randomBytes(1000), { signal: abort.signal })).rejects.toThrow("stop");
  });

  test.each([
    { status: 429, reason: "rateLimitExceeded", expected: { code: "STORAGE_FAILED", retryable: true } },
    { status: 408, reason: "", expected: { code: "STORAGE_FAILED", retryable: true } },
    { status: 503, reason: "backendError", expected: { code: "STORAGE_FAILED", retryable: true } },
    { status: 500, reason: "internalError", expected: { code: "STORAGE_FAILED", retryable: true } },
    { status: 400, reason: "invalid", expected: { code: "STORAGE_FAILED", retryable: false } },
    { status: 401, reason: "authError", expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("key") } },
    { status: 403, reason: "forbidden", expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("role") } },
    { status: 403, reason: "quotaExceeded", expected: { code: "INSUFFICIENT_STORAGE" } },
    {
      status: 403,
      reason: "retentionPolicyNotMet",
      expected: { code: "RETENTION_POLICY_VIOLATION", hint: expect.stringContaining("retention") },
    },
    {
      status: 403,
      reason: "accountDisabled",
      expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("billing") },
    },
    {
      status: 403,
      reason: "cloudKmsPermissionDenied",
      expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("kms_key") },
    },
    { status: 404, reason: "notFound", expected: { code: "STORAGE_NOT_FOUND" } },
  ])("$status $reason is told as $expected.code", async ({ status, reason, expected }) => {
    const storage = await open(optionsFor(newBucket()));
    breakNext(/^POST \/upload/, new Refusal(status, reason, "Words of the service.\nMore of them."));

    await expect(storage.put("object", Buffer.from("x"))).rejects.toMatchObject({
      ...expected,
      message: expect.stringMatching(/^storage "cloud" cannot write object: [^\n]*[^.\n]$/),
    });
  });

  test("an error on a later page is an error of the list", async () => {
    const bucket = newBucket();
    for (let n = 0; n < 1001; n++) service.addObject(bucket, `object-${String(n).padStart(4, "0")}`, Buffer.from("x"));
    const storage = await open(optionsFor(bucket));
    breakNext(/pageToken/, new Refusal(503, "backendError", "Backend Error"));

    const collect = async () => {
      for await (const _ of storage.list(""));
    };

    await expect(collect()).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
  });
});

describe("what is put", () => {
  test("has the storage class and the key of the options", async () => {
    const bucket = newBucket();
    const kms_key = "projects/p/locations/l/keyRings/r/cryptoKeys/k";

    await (await open({ ...optionsFor(bucket), storage_class: "NEARLINE", kms_key })).put("object", Buffer.from("x"));

    expect(service.object(bucket, "object").resource).toMatchObject({
      storageClass: "NEARLINE",
      kmsKeyName: `${kms_key}/cryptoKeyVersions/1`,
    });
  });

  test("objects of other names are somebody else's, and not listed", async () => {
    const bucket = newBucket();
    for (const name of ["my notes (1).txt", "folder/", "folder/.part-1", "ours"]) {
      service.addObject(bucket, name, Buffer.from("x"));
    }

    const keys: string[] = [];
    for await (const { key } of (await open(optionsFor(bucket))).list("")) keys.push(key);

    expect(keys).toEqual(["ours"]);
  });

  test("goes over connections that are used again, with one login", async () => {
    const storage = await open(optionsFor(newBucket()));
    const [connections, logins] = [service.connections, service.calls.filter((call) => call.includes("/token")).length];

    for (let n = 0; n < 5; n++) {
      await storage.put(`object-${n}`, randomBytes(100_000));
      await storage.get(`object-${n}`);
    }

    expect(service.connections - connections).toBe(0);
    expect(service.calls.filter((call) => call.includes("/token"))).toHaveLength(logins);
  });
});

test.runIf(requireOrSkip("openssl"))(
  "an untrusted certificate is refused; with ca_file everything goes through it",
  async () => {
    const certificate = await makeCertificate(tempDir());
    const secure = await startFakeGcs({
      key: readFileSync(certificate.keyFile, "utf8"),
      cert: readFileSync(certificate.certificateFile, "utf8"),
    });
    onTestFinished(() => secure.stop());
    secure.addBucket("secured");
    const options = { bucket: "secured", endpoint: secure.endpoint, credentials: secure.keyOf("writer") };

    const other = await makeCertificate(tempDir());
    for (const given of [options, { ...options, ca_file: other.caFile }]) {
      await expect(open(given)).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        retryable: false,
        hint: expect.stringContaining("`ca_file`"),
      });
    }
    const storage = await open({ ...options, ca_file: certificate.caFile });
    const bytes = randomBytes(3_000_000);
    await storage.put("object", bytes);

    expect((await storage.get("object"))?.equals(bytes)).toBe(true);
  },
);
