import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";

const EMPTY_LIST =
  '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="backups"><Blobs/><NextMarker/></EnumerationResults>';

/** A container with one blob, of which the service says what Azure documents for Get Blob Properties. Azurite knows no such policies. */
async function openWith(properties: Readonly<Record<string, string>>) {
  const server = createServer(({ method, url }, response) => {
    if (method !== "HEAD") {
      response.writeHead(200, { "content-type": "application/xml" }).end(EMPTY_LIST);
    } else if (url?.startsWith("/backups/full/metadata.json") === true) {
      response.writeHead(200, {
        "content-length": "7",
        "last-modified": "Sun, 11 Jan 2026 02:00:00 GMT",
        "x-ms-blob-type": "BlockBlob",
        ...properties,
      });
      response.end();
    } else {
      response.writeHead(404, { "x-ms-error-code": "BlobNotFound" }).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { account: "example", account_key: "c2VjcmV0", container: "backups", endpoint };
  const storage = await storageDefinitions.azure!.open(options, { name: "cloud" });
  onTestFinished(() => storage.close());
  return storage;
}

function untilDate(time: Date): Readonly<Record<string, string>> {
  return { "x-ms-immutability-policy-until-date": time.toUTCString(), "x-ms-immutability-policy-mode": "unlocked" };
}

test("a blob with an immutability policy is locked until that is over", async () => {
  const until = new Date(Math.trunc(Date.now() / 1000) * 1000 + 3_600_000);
  const storage = await openWith(untilDate(until));

  expect(storageDefinitions.azure?.knowsLocks).toBe(true);
  expect(await storage.lockedUntil?.("full/metadata.json")).toEqual(until);
  expect(await storage.lockedUntil?.("full/other")).toBeUndefined();
});

test.each([
  ["whose policy is over", untilDate(new Date(Date.now() - 60_000))],
  ["without one", {}],
])("a blob %s is not locked", async (_, properties) => {
  expect(await (await openWith(properties)).lockedUntil?.("full/metadata.json")).toBeUndefined();
});
