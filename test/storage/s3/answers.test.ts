import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, onTestFinished, test, vi } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

/** Answers that no server here gives: a service on the wire that says what each test makes it say. */

interface Request {
  readonly method: string;
  readonly key: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

type Answer = (request: Request, response: ServerResponse) => void;

const EMPTY_LIST = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>";

async function serve(answer: Answer) {
  const seen: Request[] = [];
  let connections = 0;
  const server = createServer(async (incoming, response) => {
    const url = new URL(incoming.url ?? "/", "http://host");
    const pieces: Buffer[] = [];
    for await (const piece of incoming) pieces.push(piece);
    const key = decodeURIComponent(url.pathname.replace(/^\/bucket\/?/, ""));
    const { method = "", headers } = incoming;
    const request = { method, key, query: url.searchParams, headers, body: Buffer.concat(pieces) };
    seen.push(request);
    if (request.query.get("list-type") === "2" && request.query.has("max-keys")) response.end(EMPTY_LIST);
    else answer(request, response);
  });
  server.on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return { endpoint, seen, connections: () => connections };
}

async function open(
  endpoint: string,
  given: Readonly<Record<string, unknown>> = {},
  context: Partial<StorageContext> = {},
): Promise<Storage> {
  const login = { access_key_id: "an-id", secret_access_key: "a-secret" };
  const options = { bucket: "bucket", endpoint, ...login, ...given };
  const storage = await storageDefinitions.s3!.open(options, { name: "offsite", ...context });
  onTestFinished(() => storage.close());
  return storage;
}

const error = (code: string, message = "Words of the service.", more = "") =>
  `<?xml version="1.0"?><Error><Code>${code}</Code><Message>${message}</Message>${more}</Error>`;

describe("what the service says is told apart:", () => {
  test.each<[number, string, object, Record<string, string>?]>([
    [400, error("ExpiredToken"), { code: "STORAGE_DENIED", hint: expect.stringContaining("expired") }],
    [403, error("AccessDenied"), { code: "STORAGE_DENIED", retryable: false }],
    [
      403,
      error("SignatureDoesNotMatch"),
      { code: "STORAGE_DENIED", hint: expect.stringContaining("secret_access_key") },
    ],
    [403, error("RequestTimeTooSkewed"), { code: "CLOCK_SKEWED", hint: expect.stringContaining("timedatectl") }],
    [403, error("QuotaExceeded"), { code: "INSUFFICIENT_STORAGE" }],
    [507, error("XMinioStorageFull"), { code: "INSUFFICIENT_STORAGE" }],
    [507, "", { code: "INSUFFICIENT_STORAGE" }],
    [404, error("NoSuchBucket"), { code: "STORAGE_NOT_FOUND" }],
    [503, error("SlowDown"), { code: "STORAGE_FAILED", retryable: true }],
    [503, "", { code: "STORAGE_FAILED", retryable: true }],
    [500, error("InternalError"), { code: "STORAGE_FAILED", retryable: true }],
    [429, "", { code: "STORAGE_FAILED", retryable: true }],
    [400, error("RequestTimeout"), { code: "STORAGE_FAILED", retryable: true }],
    [400, error("BadDigest"), { code: "STORAGE_FAILED", retryable: true }],
    [
      400,
      error("InvalidStorageClass"),
      { code: "STORAGE_FAILED", retryable: false, hint: expect.stringContaining("storage_class") },
    ],
    [403, error("InvalidObjectState"), { code: "OBJECT_COLD", hint: expect.stringContaining("restore-object") }],
    [
      403,
      error("AccessDenied", "not authorized to perform: kms:GenerateDataKey"),
      { code: "STORAGE_DENIED", hint: expect.stringContaining("sse_kms_key") },
    ],
    [409, error("ConditionalRequestConflict"), { code: "STORAGE_FAILED", retryable: true }],
    [400, error("KMS.NotFoundException"), { code: "STORAGE_DENIED", hint: expect.stringContaining("sse_kms_key") }],
    [
      400,
      error("InvalidRequest", "Bucket is missing Object Lock Configuration"),
      { code: "STORAGE_FAILED", hint: expect.stringContaining("object_lock") },
    ],
    [
      301,
      error("PermanentRedirect"),
      { code: "STORAGE_FAILED", hint: "Set `region: eu-west-3`." },
      { "x-amz-bucket-region": "eu-west-3" },
    ],
    [
      400,
      error(
        "AuthorizationHeaderMalformed",
        "the region 'x' is wrong; expecting 'eu-west-1'",
        "<Region>eu-west-1</Region>",
      ),
      { code: "STORAGE_FAILED", hint: "Set `region: eu-west-1`." },
    ],
    [
      400,
      error("SomethingNew"),
      {
        code: "STORAGE_FAILED",
        retryable: false,
        message: 'storage "offsite" cannot write object: SomethingNew: Words of the service',
      },
    ],
    [502, "<html><body>Bad gateway</body></html>", { code: "STORAGE_FAILED", retryable: true }],
    [418, "no XML", { code: "STORAGE_FAILED", retryable: false }],
  ])("%i %s", async (status, text, expected, headers = {}) => {
    const { endpoint } = await serve(({ method }, response) => {
      response.writeHead(method === "HEAD" ? 404 : status, headers).end(method === "HEAD" ? "" : text);
    });
    const storage = await open(endpoint);

    await expect(storage.put("object", Buffer.from("x"))).rejects.toMatchObject(expected);
  });

  test("nothing listens there", async () => {
    const { endpoint } = await serve(() => undefined);
    const nobody = endpoint.replace(/\d+$/, "1");

    await expect(open(nobody)).rejects.toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      hint: expect.stringContaining(nobody),
    });
  });

  test("no such host", async () => {
    await expect(open("https://no-such-host.invalid")).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  test("there is no login anywhere", async () => {
    withoutLogin();
    const { endpoint } = await serve(() => undefined);

    await expect(open(endpoint, NO_LOGIN)).rejects.toMatchObject({
      code: "STORAGE_DENIED",
      hint: expect.stringContaining("access_key_id"),
    });
  });

  test("Amazon is meant, and no region is said", async () => {
    withoutLogin();

    await expect(open("", { endpoint: undefined })).rejects.toMatchObject({
      code: "CONFIG_INVALID",
      hint: expect.stringContaining("region"),
    });
  });
});

const NO_LOGIN = { access_key_id: undefined, secret_access_key: undefined };

/** As on a host that has never heard of AWS. @returns its home folder */
function withoutLogin(): string {
  const home = tempDir();
  for (const name of Object.keys(process.env)) if (name.startsWith("AWS_")) vi.stubEnv(name, undefined);
  vi.stubEnv("HOME", home);
  vi.stubEnv("AWS_EC2_METADATA_DISABLED", "true");
  onTestFinished(() => void vi.unstubAllEnvs());
  return home;
}

test("a page instead of an answer is no object, no success and no damage", async () => {
  const { endpoint } = await serve((_, response) => {
    response.writeHead(200, { "content-type": "text/html", date: new Date().toUTCString() }).end("<html>Log in</html>");
  });
  const storage = await open(endpoint, { conditional_writes: true });
  const foreign = {
    ...{ code: "STORAGE_FAILED", retryable: true },
    message: expect.stringContaining("what answers there is not an S3 service"),
  };

  await expect(storage.get("backupctl.json")).rejects.toMatchObject(foreign);
  await expect(storage.stat("backupctl.json")).rejects.toMatchObject(foreign);
  await expect(storage.put("object", Buffer.from("bytes"))).rejects.toMatchObject(foreign);
  await expect(storage.list("folder")[Symbol.asyncIterator]().next()).rejects.toMatchObject(foreign);
  await expect(storage.remove("object")).rejects.toMatchObject(foreign);
});

describe("the login is taken", () => {
  async function loginSeen(given: Readonly<Record<string, unknown>>): Promise<string | undefined> {
    const { endpoint, seen } = await serve(
      (_, response) => void response.writeHead(404, { "content-length": 0 }).end(),
    );
    const storage = await open(endpoint, { ...NO_LOGIN, ...given });
    await storage.stat("object");
    return /Credential=([^/]+)/.exec(seen[0]?.headers.authorization ?? "")?.[1];
  }

  test("from the config before all others", async () => {
    withoutLogin();
    vi.stubEnv("AWS_ACCESS_KEY_ID", "of-environment");
    vi.stubEnv("AWS_SECRET_ACCESS_KEY", "secret");

    expect(await loginSeen({ access_key_id: "of-config", secret_access_key: "secret" })).toBe("of-config");
    expect(await loginSeen({})).toBe("of-environment");
  });

  test("from a profile of the shared file, or from the program that it names", async () => {
    const credentials = join(withoutLogin(), "credentials");
    const printed = { Version: 1, AccessKeyId: "of-program", SecretAccessKey: "secret" };
    const text = `[plain]\naws_access_key_id = of-file\naws_secret_access_key = secret\n
[program]\ncredential_process = printf '%s' '${JSON.stringify(printed)}'\n`;
    writeFileSync(credentials, text);
    vi.stubEnv("AWS_SHARED_CREDENTIALS_FILE", credentials);

    expect(await loginSeen({ profile: "plain" })).toBe("of-file");
    expect(await loginSeen({ profile: "program" })).toBe("of-program");
  });
});

describe("a service that keeps less than S3 promises:", () => {
  /** Stores everything, and knows neither conditions nor ranges. */
  async function carelessService() {
    const objects = new Map<string, Buffer>();
    const served = await serve(({ method, key, body }, response) => {
      const found = objects.get(key);
      if (method === "PUT") {
        objects.set(key, body);
        response.end();
      } else if (found === undefined) response.writeHead(404).end(method === "HEAD" ? "" : error("NoSuchKey"));
      else {
        response.writeHead(200, { "content-length": found.length, "last-modified": "Sun, 22 Nov 2026 08:00:00 GMT" });
        response.end(method === "HEAD" ? undefined : found);
      }
    });
    return { ...served, objects };
  }

  test("one that ignores the condition overwrites nothing that is there", async () => {
    const { endpoint, objects } = await carelessService();
    const storage = await open(endpoint);
    await storage.put("object", Buffer.from("first"));

    await expect(storage.put("object", Buffer.from("other"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });

    expect(objects.get("object")?.toString()).toBe("first");
    expect(await storage.put("object", Buffer.from("first"))).toMatchObject({ sizeBytes: 5 });
    expect(storage.capabilities.exclusiveNames).toBe(false);
  });

  test("one that ignores ranges gives the range all the same, and is read no further", async () => {
    const { endpoint, objects } = await carelessService();
    objects.set("object", Buffer.concat([Buffer.from("0123456789"), randomBytes(5_000_000)]));
    const storage = await open(endpoint);

    expect((await storage.get("object", { offset: 3, length: 4 }))?.toString()).toBe("3456");
    expect((await storage.get("object", { offset: 0, length: 2 }))?.toString()).toBe("01");
    expect((await storage.get("object", { offset: 9_000_000, length: 2 }))?.length).toBe(0);
  });
});

describe("a name that is taken", () => {
  async function takenBy(held: string) {
    const sha256 = createHash("sha256").update(held).digest("base64");
    const facts = { "content-length": held.length, "last-modified": "Sun, 22 Nov 2026 08:00:00 GMT" };
    const served = await serve(({ method }, response) => {
      if (method === "PUT") response.writeHead(412).end(error("PreconditionFailed"));
      else response.writeHead(200, { ...facts, "x-amz-checksum-sha256": sha256 }).end();
    });
    return { ...served, storage: await open(served.endpoint, { conditional_writes: true }) };
  }

  test("by the same bytes is success, without reading them where the service knows their SHA-256", async () => {
    const { storage, seen } = await takenBy("bytes");

    expect(await storage.put("object", Buffer.from("bytes"))).toMatchObject({ sizeBytes: 5 });

    expect(seen.map(({ method }) => method)).toEqual(["GET", "PUT", "HEAD"]);
  });

  test.each(["other", "longer than that"])("by %s is a conflict", async (held) => {
    const { storage } = await takenBy(held);

    await expect(storage.put("object", Buffer.from("bytes"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });
});

describe("a listing", () => {
  const page = (keys: readonly string[], rest: string) =>
    `<ListBucketResult>${keys
      .map(
        (key) =>
          `<Contents><Key>${key}</Key><Size>1</Size><LastModified>2026-11-22T08:00:00.500Z</LastModified></Contents>`,
      )
      .join("")}${rest}</ListBucketResult>`;
  const truncated = (token: string) =>
    `<IsTruncated>true</IsTruncated><NextContinuationToken>${token}</NextContinuationToken>`;

  async function listed(pages: Readonly<Record<string, string>>): Promise<string[]> {
    const { endpoint } = await serve(({ query }, response) => {
      const text = pages[query.get("continuation-token") ?? ""];
      response.writeHead(text === undefined ? 500 : 200).end(text ?? error("InternalError"));
    });
    const storage = await open(endpoint);
    const keys: string[] = [];
    for await (const { key } of storage.list("")) keys.push(key);
    return keys;
  }

  test("follows every page", async () => {
    expect(await listed({ "": page(["a"], truncated("1")), 1: page([], truncated("2")), 2: page(["b"], "") })).toEqual([
      "a",
      "b",
    ]);
  });

  test.each([
    ["ends before its last page", { "": page(["a"], "<IsTruncated>true</IsTruncated>") }],
    ["comes back to the same page", { "": page(["a"], truncated("1")), 1: page(["a"], truncated("1")) }],
    ["does not tell a size", { "": "<ListBucketResult><Contents><Key>a</Key></Contents></ListBucketResult>" }],
    ["fails on its second page", { "": page(["a"], truncated("1")) }],
  ])("that %s is an error, never a part", async (_, pages) => {
    await expect(listed(pages)).rejects.toMatchObject({ code: "STORAGE_FAILED" });
  });

  test("leaves out what lies elsewhere, whatever the service sends", async () => {
    expect(await listed({ "": page(["../x", "a//b", "/a", "ok"], "") })).toEqual(["ok"]);
  });
});

describe("what is sent", () => {
  async function sent(given: Readonly<Record<string, unknown>>, context: Partial<StorageContext> = {}) {
    const { endpoint, seen } = await serve(({ method }, response) => {
      response.writeHead(method === "HEAD" ? 404 : 200, { date: "Sun, 22 Nov 2026 08:00:00 GMT" }).end();
    });
    const storage = await open(endpoint, given, context);
    const stored = await storage.put("object", Buffer.from("bytes"));
    return { stored, headers: seen.find(({ method }) => method === "PUT")?.headers ?? {} };
  }

  const digest = (algorithm: string, encoding: "hex" | "base64") =>
    createHash(algorithm).update("bytes").digest(encoding);

  test("carries a SHA-256 for the service to check, and asks it not to overwrite", async () => {
    const { headers, stored } = await sent({});

    expect(headers).toMatchObject({
      "x-amz-checksum-sha256": digest("sha256", "base64"),
      "x-amz-content-sha256": digest("sha256", "hex"),
      "if-none-match": "*",
      "content-length": "5",
    });
    expect(headers["transfer-encoding"] ?? headers["content-encoding"] ?? headers.expect).toBeUndefined();
    expect(stored).toMatchObject({ sha256: digest("sha256", "hex"), modifiedAt: new Date("2026-11-22T08:00:00Z") });
  });

  test("with checksums: when_required carries that of the signature and no newer headers", async () => {
    const { headers } = await sent({ checksums: "when_required", conditional_writes: false });

    expect(headers["x-amz-content-sha256"]).toBe(digest("sha256", "hex"));
    expect(Object.keys(headers).filter((name) => /checksum|if-none|md5/.test(name))).toEqual([]);
  });

  test("with checksums: when_required and a lock carries the MD5 without which services lock nothing", async () => {
    const { headers } = await sent({ checksums: "when_required", object_lock: "governance", object_lock_days: 3 });

    expect(headers["content-md5"]).toBe(digest("md5", "base64"));
  });

  test("says how it is to be kept", async () => {
    const { headers } = await sent({
      storage_class: "STANDARD_IA",
      sse: "aws:kms",
      sse_kms_key: "a-key",
      object_lock: "governance",
      object_lock_days: 3,
    });

    expect(headers).toMatchObject({
      "x-amz-storage-class": "STANDARD_IA",
      "x-amz-server-side-encryption": "aws:kms",
      "x-amz-server-side-encryption-aws-kms-key-id": "a-key",
      "x-amz-object-lock-mode": "GOVERNANCE",
      "x-amz-object-lock-retain-until-date": expect.stringMatching(/^\d{4}-/),
    });
  });

  test("locks nothing that is to be removed again", async () => {
    const { headers } = await sent({ object_lock: "compliance", object_lock_days: 3 }, { scratch: true });

    expect(Object.keys(headers).filter((name) => name.includes("object-lock"))).toEqual([]);
  });
});

describe("an object's SHA-256", () => {
  test.each([
    [createHash("sha256").update("bytes").digest("base64"), createHash("sha256").update("bytes").digest("hex")],
    ["q83vEjRWeJCrze8SNFZ4kKvN7xI0VniQq83vEjRWeJA=-3", undefined],
  ])("%s is told as %s", async (header, sha256) => {
    const { endpoint } = await serve((_, response) => {
      const facts = { "content-length": 5, "last-modified": "Sun, 22 Nov 2026 08:00:00 GMT" };
      response.writeHead(200, { ...facts, "x-amz-checksum-sha256": header }).end();
    });

    expect((await (await open(endpoint)).stat("object"))?.sha256).toBe(sha256);
  });
});

describe("connections", () => {
  test("are kept and used again", async () => {
    const { endpoint, connections } = await serve(({ method }, response) => {
      response.writeHead(method === "HEAD" ? 404 : 200, { "content-length": 0 }).end();
    });
    const storage = await open(endpoint);

    for (let n = 0; n < 20; n++) await storage.put(`object-${n}`, Buffer.from("x"));

    expect(connections()).toBe(1);
  });

  test("that break off in the middle of an object are a failure that may pass", async () => {
    const { endpoint } = await serve((_, response) => {
      response.writeHead(200, { "content-length": 1000 }).write("beginning");
      setTimeout(() => response.destroy(), 50);
    });
    const storage = await open(endpoint);

    await expect(storage.get("object")).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
  });

  test.each([
    ["before the answer", () => undefined],
    [
      "in the middle of an object",
      (response: ServerResponse) => response.writeHead(200, { "content-length": 9 }).write("b"),
    ],
  ])("over which nothing moves %s are cut", async (_, begin) => {
    const { endpoint } = await serve((_request, response) => void begin(response));
    const storage = await open(endpoint, {}, { stallTimeoutMs: 300 });
    const before = performance.now();

    await expect(storage.get("object")).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });

    expect(performance.now() - before).toBeLessThan(5_000);
  });

  test("over which little moves, for longer than the timeout, are not cut", async () => {
    const { endpoint } = await serve((_, response) => {
      response.writeHead(200, { "content-length": 10 });
      let left = 10;
      const timer = setInterval(() => {
        response.write("x");
        left -= 1;
        if (left === 0) clearInterval(timer);
      }, 150);
    });
    const storage = await open(endpoint, {}, { stallTimeoutMs: 600 });

    expect((await storage.get("object"))?.toString()).toBe("xxxxxxxxxx");
  });

  test("are given up when the call is aborted, with the reason of the abort", async () => {
    const { endpoint } = await serve((_, response) => void response.writeHead(200, { "content-length": 9 }).write("b"));
    const storage = await open(endpoint);
    const abort = new AbortController();
    setTimeout(() => abort.abort(new Error("enough")), 100);

    await expect(storage.get("object", undefined, { signal: abort.signal })).rejects.toThrow("enough");
  });
});
