import { randomBytes, randomUUID } from "node:crypto";
import { mkdirSync } from "node:fs";
import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import type { Storage, StorageContext } from "../../../src/storage/storage.ts";
import { losingProxy } from "../../helpers/losing-proxy.ts";
import { suiteTempDir } from "../../helpers/temp-dir.ts";
import { type Azurite, startAzurite } from "../../servers/azurite.ts";
import { type Certificate, makeCertificate } from "../../servers/certificate.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { storageSuite } from "../../suites/storage-suite.ts";

const definition = storageDefinitions.azure!;
const HOUR_MS = 3_600_000;

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  const dir = suiteTempDir();
  let azurite: Azurite;

  beforeAll(async () => {
    azurite = await startAzurite(dir);
  });
  afterAll(() => azurite.stop());

  const credential = () => new StorageSharedKeyCredential(azurite.account, azurite.accountKey);

  async function newContainer(): Promise<ContainerClient> {
    const client = new ContainerClient(`${azurite.endpoint}/c-${randomUUID()}`, credential());
    await client.create();
    return client;
  }

  const withKey = (container: string) => ({
    account: azurite.account,
    account_key: azurite.accountKey,
    endpoint: azurite.endpoint,
    container,
  });

  function sasOf(container: string, permissions: string, expiresInMs = HOUR_MS): string {
    return generateBlobSASQueryParameters(
      {
        containerName: container,
        permissions: ContainerSASPermissions.parse(permissions),
        startsOn: new Date(Date.now() - 2 * HOUR_MS),
        expiresOn: new Date(Date.now() + expiresInMs),
      },
      credential(),
    ).toString();
  }

  const withSas = (container: string, permissions: string, expiresInMs?: number) => ({
    account: azurite.account,
    endpoint: azurite.endpoint,
    container,
    sas: `?${sasOf(container, permissions, expiresInMs)}`,
  });

  async function open(options: unknown, context: Partial<StorageContext> = {}): Promise<Storage> {
    const storage = await definition.open(options, { name: "cloud", ...context });
    onTestFinished(() => storage.close());
    return storage;
  }

  storageSuite({
    name: "azure",
    open: async () => {
      const { containerName } = await newContainer();
      const again = () => definition.open({ ...withKey(containerName), prefix: "site/" }, { name: "cloud" });
      return { storage: await again(), again };
    },
  });

  describe("opening", () => {
    test("a container that does not exist is STORAGE_NOT_FOUND, and is made by init", async () => {
      const options = withKey("not-there");

      await expect(open(options)).rejects.toMatchObject({
        code: "STORAGE_NOT_FOUND",
        message: 'storage "cloud" cannot be opened: there is no container not-there',
        hint: expect.stringContaining("`backupctl init`"),
      });
      const made = await open(options, { create: true });

      await made.put("object", Buffer.from("x"));
      expect(await (await open(options, { create: true })).stat("object")).toMatchObject({ sizeBytes: 1 });
    });

    test("an endpoint that lacks the account is told as that, also to init", async () => {
      const { containerName } = await newContainer();
      const options = { ...withKey(containerName), endpoint: new URL(azurite.endpoint).origin };

      for (const create of [false, true]) {
        await expect(open(options, { create })).rejects.toMatchObject({
          ...{ code: "STORAGE_FAILED", retryable: false },
          hint: expect.stringContaining("endpoint ends with the account"),
        });
      }
    });

    test("a container that goes away is never an empty one", async () => {
      const client = await newContainer();
      const storage = await open(withKey(client.containerName));
      await client.delete();

      const gone = { code: "STORAGE_NOT_FOUND" };
      await expect(storage.list("")[Symbol.asyncIterator]().next()).rejects.toMatchObject(gone);
      await expect(storage.get("object")).rejects.toMatchObject(gone);
      await expect(storage.stat("object")).rejects.toMatchObject(gone);
      await expect(storage.remove("object")).rejects.toMatchObject(gone);
      await expect(storage.put("object", Buffer.from("x"))).rejects.toMatchObject(gone);
    });

    test("a wrong key is STORAGE_DENIED, and not in the message", async () => {
      const { containerName } = await newContainer();
      const wrong = randomBytes(64).toString("base64");

      const refused = open({ ...withKey(containerName), account_key: wrong });

      await expect(refused).rejects.toMatchObject({
        code: "STORAGE_DENIED",
        message: expect.stringContaining("AuthorizationFailure"),
        retryable: false,
      });
      await expect(refused).rejects.not.toMatchObject({ message: expect.stringContaining(wrong) });
    });

    test("connection strings with a key or with a SAS, and a folder, open the same place", async () => {
      const { containerName: container } = await newContainer();
      const key = `DefaultEndpointsProtocol=http;AccountName=${azurite.account};AccountKey=${azurite.accountKey};BlobEndpoint=${azurite.endpoint};`;
      const sas = `BlobEndpoint=${azurite.endpoint}/;SharedAccessSignature=${sasOf(container, "rl")}`;
      const byKey = await open({ connection_string: key, container, prefix: "a/b" });
      await byKey.put("object", Buffer.from("bytes"));

      const bySas = await open({ connection_string: sas, container, prefix: "a/b/" });

      expect((await bySas.get("object"))?.toString()).toBe("bytes");
      expect(bySas.address).toBe(byKey.address);
      expect(byKey.address).toBe(`azure:127.0.0.1:${azurite.port}/devstoreaccount1/${container}/a/b`);
    });

    test("without a login it is STORAGE_DENIED with the ways to get one", async () => {
      const { containerName } = await newContainer();
      const { account_key: _, ...options } = withKey(containerName);

      await expect(open({ ...options, endpoint: `https://127.0.0.1:${azurite.port}/x` })).rejects.toMatchObject({
        code: "STORAGE_DENIED",
        hint: expect.stringContaining("az login"),
      });
    });
  });

  describe("a SAS", () => {
    test("without the right to write reads, and is STORAGE_DENIED for put and remove", async () => {
      const { containerName } = await newContainer();
      await (await open(withKey(containerName))).put("object", Buffer.from("bytes"));
      const reader = await open(withSas(containerName, "rl"));

      expect((await reader.get("object"))?.toString()).toBe("bytes");
      const denied = {
        code: "STORAGE_DENIED",
        hint: expect.stringContaining("docs/storage/azure.md"),
        retryable: false,
      };
      await expect(reader.put("new", Buffer.from("x"))).rejects.toMatchObject(denied);
      await expect(reader.remove("object")).rejects.toMatchObject(denied);
    });

    test("that may make new objects only is enough for put, of the same bytes again too", async () => {
      const { containerName } = await newContainer();
      const writer = await open(withSas(containerName, "rcl"));

      await writer.put("object", Buffer.from("bytes"));
      await writer.put("object", Buffer.from("bytes"));

      await expect(writer.put("object", Buffer.from("other"))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
    });

    test("that has expired is told as that", async () => {
      const { containerName } = await newContainer();

      await expect(open(withSas(containerName, "rl", -HOUR_MS))).rejects.toMatchObject({
        code: "STORAGE_DENIED",
        message: expect.stringContaining("the SAS has expired at "),
        hint: "Make a new SAS.",
      });
    });
  });

  describe("TLS", () => {
    let secure: Azurite;
    let certificate: Certificate;

    beforeAll(async () => {
      const place = `${dir}/tls`;
      mkdirSync(place);
      certificate = await makeCertificate(place);
      secure = await startAzurite(place, { certificate });
    });
    afterAll(() => secure.stop());

    const options = () => ({ ...withKey("secured"), endpoint: secure.endpoint });

    test("an untrusted certificate is refused, with the option that trusts it", async () => {
      await expect(open(options(), { create: true })).rejects.toMatchObject({
        code: "STORAGE_FAILED",
        retryable: false,
        hint: expect.stringContaining("`ca_file`"),
      });
    });

    test("with ca_file everything goes through it", async () => {
      const storage = await open({ ...options(), ca_file: certificate.caFile }, { create: true });
      const bytes = randomBytes(3_000_000);

      await storage.put("object", bytes);

      expect(
        (await storage.get("object", { offset: 1000, length: 2_000_000 }))?.equals(bytes.subarray(1000, 2_001_000)),
      ).toBe(true);
    });
  });

  test("a put whose answer was lost may fail once; again it is success, and nothing is written twice", async () => {
    const { containerName } = await newContainer();
    const proxy = await losingProxy(azurite.port);
    const storage = await open({
      ...withKey(containerName),
      endpoint: `http://127.0.0.1:${proxy.port}/${azurite.account}`,
    });
    const bytes = randomBytes(200_000);
    proxy.loseNextAnswer();

    await expect(storage.put("object", bytes)).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
    const first = await storage.stat("object");

    expect(await storage.put("object", bytes)).toEqual(first);
    await expect(storage.put("object", randomBytes(200_000))).rejects.toMatchObject({ code: "OBJECT_CONFLICT" });
  });

  test("calls one after the other use the same connections", async () => {
    const { containerName } = await newContainer();
    const proxy = await losingProxy(azurite.port);
    const storage = await open({
      ...withKey(containerName),
      endpoint: `http://127.0.0.1:${proxy.port}/${azurite.account}`,
    });

    for (let n = 0; n < 5; n++) {
      await storage.put(`object-${n}`, randomBytes(100_000));
      await storage.get(`object-${n}`);
      await storage.stat(`object-${n}`);
    }

    // The SDK does not wait for the end of an answer to HEAD.
    expect(proxy.connections).toBeLessThanOrEqual(2);
  });

  test("folders of a hierarchical namespace and blobs of other names are no objects", async () => {
    const client = await newContainer();
    const storage = await open(withKey(client.containerName));
    await client.getBlockBlobClient("folder").upload("", 0, { metadata: { hdi_isfolder: "true" } });
    await client.getBlockBlobClient("my notes (1).txt").upload("x", 1);
    await storage.put("folder/object", Buffer.from("x"));

    const keys: string[] = [];
    for await (const { key } of storage.list("")) keys.push(key);

    expect(keys).toEqual(["folder/object"]);
    expect(await storage.stat("folder")).toBeUndefined();
    expect(await storage.get("folder")).toBeUndefined();
  });

  test.each(["key", "SAS"])(
    "what the account can do is found out with a %s, in the folder that is given",
    async (login) => {
      const { containerName } = await newContainer();
      const options = login === "key" ? withKey(containerName) : withSas(containerName, "rcdl");
      const storage = await open({ ...options, prefix: "site" });

      const found = new Map<string, string>();
      for await (const { what, outcome } of storage.probe!("scratch")) found.set(what, outcome);

      expect(Object.fromEntries(found)).toEqual({
        "conditional writes": "works",
        "Content-MD5": "works",
        "access tier": "works",
        versioning: "absent",
        "soft delete": "absent",
        immutability: "absent",
      });
      for await (const { key } of storage.list("")) expect(key).toMatch(/^scratch\//);
    },
  );

  test("objects are put into the tier", async () => {
    const client = await newContainer();
    const storage = await open({ ...withKey(client.containerName), tier: "Cool" });

    await storage.put("object", Buffer.from("x"));

    expect((await client.getBlobClient("object").getProperties()).accessTier).toBe("Cool");
  });
});
