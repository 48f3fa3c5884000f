import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, expect, onTestFinished, test } from "vitest";
import { azureOptions, azureProblems } from "../../../src/storage/azure/options.ts";
import { storageDefinitions } from "../../../src/storage/registry.ts";

const definition = storageDefinitions.azure!;
const login = { account: "example", account_key: "c2VjcmV0", container: "backups" };

const NOTHING_LISTED =
  '<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="backups"><Blobs/><NextMarker/></EnumerationResults>';

interface Answer {
  readonly status: number;
  readonly code?: string;
  readonly date?: string;
}

/** The refusals that no test server gives are given by a server that refuses everything so. */
async function refusedWith({ status, code, date }: Answer) {
  const server = createServer((request, response) => {
    request.resume();
    if (date !== undefined) response.setHeader("date", date);
    if (code !== undefined) response.setHeader("x-ms-error-code", code);
    response.setHeader("content-type", "application/xml");
    response.writeHead(status);
    response.end(
      `<?xml version="1.0"?><Error><Code>${code ?? ""}</Code><Message>Words of the service.\nTime:x</Message></Error>`,
    );
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.closeAllConnections());
  onTestFinished(() => void server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return await definition.open({ ...login, endpoint }, { name: "cloud" }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

test.each([
  {
    status: 409,
    code: "BlobImmutableDueToPolicy",
    expected: { code: "RETENTION_POLICY_VIOLATION", hint: expect.stringContaining("policy") },
  },
  {
    status: 403,
    code: "AuthenticationFailed",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("account_key") },
  },
  {
    status: 403,
    code: "AuthorizationPermissionMismatch",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("role") },
  },
  {
    status: 403,
    code: "AuthorizationFailure",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("firewall") },
  },
  {
    status: 403,
    code: "AuthorizationSourceIPMismatch",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("IP") },
  },
  {
    status: 403,
    code: "KeyBasedAuthenticationNotPermitted",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("az login") },
  },
  {
    status: 403,
    code: "AccountIsDisabled",
    expected: { code: "STORAGE_DENIED", hint: expect.stringContaining("disabled") },
  },
  { status: 403, code: "SomethingNew", expected: { code: "STORAGE_DENIED" } },
  { status: 404, code: "ContainerNotFound", expected: { code: "STORAGE_NOT_FOUND", retryable: false } },
  { status: 409, code: "ContainerBeingDeleted", expected: { code: "STORAGE_FAILED", retryable: true } },
  { status: 409, code: "AccountQuotaExceeded", expected: { code: "INSUFFICIENT_STORAGE", retryable: false } },
  { status: 400, code: "InvalidHeaderValue", expected: { code: "STORAGE_FAILED", retryable: false } },
  { status: 503, code: "ServerBusy", expected: { code: "STORAGE_FAILED", retryable: true } },
  { status: 500, code: "InternalError", expected: { code: "STORAGE_FAILED", retryable: true } },
  { status: 500, code: "OperationTimedOut", expected: { code: "STORAGE_FAILED", retryable: true } },
  { status: 429, expected: { code: "STORAGE_FAILED", retryable: true } },
  { status: 502, expected: { code: "STORAGE_FAILED", retryable: true } },
])("$status $code is told as $expected.code", async ({ expected, ...answer }) => {
  expect(await refusedWith(answer)).toMatchObject({
    ...expected,
    message: expect.stringMatching(/^storage "cloud" cannot be opened: [^\n]*[^.\n]$/),
  });
});

test("a refusal by a service whose clock is far from ours is CLOCK_SKEWED", async () => {
  const date = new Date(Date.now() + 20 * 60_000).toUTCString();

  expect(await refusedWith({ status: 403, code: "AuthenticationFailed", date })).toMatchObject({
    code: "CLOCK_SKEWED",
    message: expect.stringContaining("clock is 20 minutes behind"),
  });
});

test("a port where nobody listens may be tried again; a host that nobody knows may not", async () => {
  const open = (endpoint: string) => definition.open({ ...login, endpoint }, { name: "cloud" });

  await expect(open("http://127.0.0.1:9")).rejects.toMatchObject({ code: "STORAGE_FAILED", retryable: true });
  await expect(open("https://nobody.invalid")).rejects.toMatchObject({
    code: "STORAGE_FAILED",
    hint: expect.stringContaining("DNS"),
  });
});

describe("options", () => {
  const problemsOf = (options: object) =>
    azureProblems(azureOptions.parse({ container: "backups", ...options })).map(
      ({ path, message }) => `${path} ${message}`,
    );

  test.each([
    [{ account: "example" }, []],
    [{ account: "example", account_key: "c2VjcmV0" }, []],
    [{ connection_string: "AccountName=example;AccountKey=c2VjcmV0" }, []],
    [{ account: "example", sas: "sv=1", endpoint: "http://127.0.0.1:10000/example" }, []],
    [{ account: "example", account_key: "c2VjcmV0", endpoint: "http://storage.example.org", insecure: true }, []],
    [
      { account: "example", endpoint: "http://127.0.0.1:10000/example", insecure: true },
      [expect.stringContaining("endpoint is not encrypted; only an account_key or a sas")],
    ],
    [{}, [expect.stringContaining("account is missing")]],
    [{ account: "example", account_key: "c2VjcmV0", sas: "sv=1" }, ["sas is one too many beside account_key"]],
    [
      { account: "example", endpoint: "http://storage.example.org" },
      [expect.stringContaining("endpoint is not encrypted")],
    ],
    [{ connection_string: "nonsense" }, [expect.stringContaining("connection_string must be")]],
    [{ connection_string: "AccountName=example" }, [expect.stringContaining("connection_string must be")]],
    [
      { connection_string: "DefaultEndpointsProtocol=http;AccountName=example;AccountKey=c2VjcmV0" },
      [expect.stringContaining("connection_string is not encrypted")],
    ],
  ])("%j", (options, problems) => {
    expect(problemsOf(options)).toEqual(problems);
  });

  test("one place has one address, however it was spelt", async () => {
    const address = await definition.address({ account: "example", container: "backups", prefix: "a/" });

    expect(address).toBe("azure:example.blob.core.windows.net/backups/a");
    const same = [
      { account: "example", endpoint: "https://example.blob.core.windows.net/" },
      { connection_string: "AccountName=example;AccountKey=c2VjcmV0;EndpointSuffix=core.windows.net" },
      { connection_string: "BlobEndpoint=https://example.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x" },
    ];
    for (const spelling of same) {
      expect(await definition.address({ container: "backups", prefix: "a", ...spelling })).toBe(address);
    }
  });

  test("what does not fit together is CONFIG_INVALID before anything is sent", async () => {
    await expect(
      definition.open({ ...login, endpoint: "http://storage.example.org" }, { name: "cloud" }),
    ).rejects.toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining("insecure") });
  });
});

test("a page instead of an answer is no object, no success and no damage", async () => {
  let isLoggedOut = false;
  const server = createServer((request, response) => {
    request.resume();
    const date = new Date().toUTCString();
    if (isLoggedOut) response.writeHead(200, { "content-type": "text/html", date }).end("<html>Log in</html>");
    else response.writeHead(200, { "content-type": "application/xml", date }).end(NOTHING_LISTED);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => void server.closeAllConnections());
  onTestFinished(() => void server.close());
  const endpoint = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const storage = await definition.open({ ...login, endpoint }, { name: "cloud" });
  onTestFinished(() => storage.close());
  isLoggedOut = true;
  const foreign = {
    ...{ code: "STORAGE_FAILED", retryable: true },
    message: expect.stringContaining("what answers there is not Azure's Blob Storage"),
  };

  await expect(storage.get("object")).rejects.toMatchObject(foreign);
  await expect(storage.stat("object")).rejects.toMatchObject(foreign);
  await expect(storage.put("object", Buffer.from("bytes"))).rejects.toMatchObject(foreign);
  await expect(storage.list("folder")[Symbol.asyncIterator]().next()).rejects.toMatchObject(foreign);
  await expect(storage.remove("object")).rejects.toMatchObject(foreign);
});
