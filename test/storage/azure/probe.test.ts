import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";

const OK = { etag: '"0x1"', "last-modified": new Date(0).toUTCString() };

/** What a request is for, as in https://learn.microsoft.com/rest/api/storageservices/blob-service-rest-api. */
function operationOf({ method, url = "" }: IncomingMessage): string {
  const query = new URL(url, "http://localhost").searchParams;
  return [method, query.get("restype") ?? "blob", query.get("comp"), query.get("include")].filter(Boolean).join(" ");
}

/** A stand-in for accounts that Azurite can't be. */
const ANSWERS: Readonly<Record<string, (response: ServerResponse) => void>> = {
  "GET container list": (response) => answerListing(response, ""),
  "GET container list deleted": (response) =>
    answerListing(
      response,
      "<Blob><Name>scratch/deleted</Name><Deleted>true</Deleted><Properties><Last-Modified>Thu, 01 Jan 1970 00:00:00 GMT</Last-Modified><Etag>0x1</Etag><Content-Length>5</Content-Length><BlobType>BlockBlob</BlobType><RemainingRetentionDays>7</RemainingRetentionDays></Properties></Blob>",
    ),
  "PUT blob": (response) => response.writeHead(201, { ...OK, "x-ms-version-id": "2026-01-01T00:00:00Z" }).end(),
  "DELETE blob": (response) => response.writeHead(202).end(),
  "HEAD blob": (response) => response.writeHead(200, { ...OK, "x-ms-access-tier": "Hot" }).end(),
  "GET container": (response) => response.writeHead(200, { ...OK, "x-ms-has-immutability-policy": "true" }).end(),
};

function answerListing(response: ServerResponse, blobs: string): void {
  response.writeHead(200, { "content-type": "application/xml" });
  response.end(
    `<?xml version="1.0"?><EnumerationResults ServiceEndpoint="http://localhost/" ContainerName="backups"><Blobs>${blobs}</Blobs><NextMarker/></EnumerationResults>`,
  );
}

function refuse(status: number, code: string): (response: ServerResponse) => void {
  return (response) => {
    response.writeHead(status, { "x-ms-error-code": code, "content-type": "application/xml" });
    response.end(`<?xml version="1.0"?><Error><Code>${code}</Code><Message>no</Message></Error>`);
  };
}

async function found(answers: typeof ANSWERS): Promise<Readonly<Record<string, string>>> {
  const server = createServer((request, response) => {
    request.resume().on("end", () => answers[operationOf(request)]?.(response));
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.close());
  onTestFinished(() => void server.closeAllConnections());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const options = { account: "example", account_key: "c2VjcmV0", container: "backups", tier: "Cool", endpoint };
  const storage = await storageDefinitions.azure!.open(options, { name: "cloud" });
  onTestFinished(() => storage.close());
  const results: [string, string][] = [];
  for await (const { what, outcome, detail } of storage.probe!("scratch"))
    results.push([what, detail === undefined ? outcome : `${outcome}: ${detail}`]);
  return Object.fromEntries(results);
}

test("an account that overwrites, checks nothing, and keeps what is deleted is found out", async () => {
  expect(await found(ANSWERS)).toEqual({
    "conditional writes": expect.stringMatching(/^fails: the service overwrites/),
    "Content-MD5": "absent: a wrong one is accepted",
    "access tier": "fails: objects are stored as Hot, not Cool",
    versioning: "works: what is deleted stays as an old version",
    "soft delete": "works: what is deleted stays for 7 days",
    immutability: "works: a policy of the container keeps what is put, this check's objects too",
  });
});

test("what a SAS may not ask is not known, and nothing that fails", async () => {
  const forbidden = refuse(403, "AuthorizationFailure");

  const unknown = "absent: not known, since this login may not ask (403 AuthorizationFailure)";
  expect(await found({ ...ANSWERS, "DELETE blob": forbidden, "GET container": forbidden })).toMatchObject({
    "soft delete": unknown,
    immutability: unknown,
  });
});

test("a refusal that nobody expects is a result", async () => {
  expect(await found({ ...ANSWERS, "PUT blob": refuse(409, "FeatureNotSupported") })).toMatchObject({
    "conditional writes": "fails: the service answered 409 FeatureNotSupported",
    versioning: "fails: the service answered 409 FeatureNotSupported",
  });
});
