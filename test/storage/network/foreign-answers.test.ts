import { type AddressInfo, createServer, type Socket } from "node:net";
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from "vitest";
import { storageDefinitions } from "../../../src/storage/registry.ts";
import { type FakeGcs, startFakeGcs } from "../../servers/gcs/server.ts";

/** What stands at a service's address may be something else: another program, a proxy, the login page of a network. */

const page = "<!DOCTYPE html><html><head><title>Hotel</title></head><body><p>Log in here<br></body></html>";
const http = (head: string, body = "") => `HTTP/1.1 ${head}\r\nContent-Length: ${body.length}\r\n\r\n${body}`;

const FOREIGN: Readonly<Record<string, string>> = {
  "an SSH server": "SSH-2.0-OpenSSH_9.6\r\n",
  "an FTP server": "220 (vsFTPd 3.0.5)\r\n",
  garbage: "\u0000\u0001\u0002 garbage \u00ff\r\n\r\n",
  "headers without end": `HTTP/1.1 200 OK\r\n${`X-Long: ${"x".repeat(1000)}\r\n`.repeat(40)}\r\n`,
  "two lengths": "HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 5\r\n\r\nabc",
  "a login page": http("200 OK\r\nContent-Type: text/html; charset=utf-8", page),
  "a page that does not say so": http("200 OK", page),
  "a text": http("200 OK\r\nContent-Type: text/plain", "hello"),
  nothing: http("200 OK"),
};
const REFUSALS: Readonly<Record<string, { readonly raw: string; readonly says: string }>> = {
  "a redirection": { raw: http("302 Found\r\nLocation: http://portal.example/", ""), says: "302 Found" },
  "a proxy that wants a login": {
    raw: http("407 Proxy Authentication Required", ""),
    says: "407 Proxy Authentication Required",
  },
  "a broken service": { raw: http("500 Internal Server Error", ""), says: "500 Internal Server Error" },
  "a page that is not found": { raw: http("410 Gone\r\nContent-Type: text/html", page), says: "410 Gone" },
};

/** Says the same to everybody who connects, whatever they ask. */
async function serve(raw: string): Promise<string> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => undefined);
    if (raw.startsWith("HTTP")) socket.on("data", () => socket.write(raw, "latin1"));
    else socket.write(raw, "latin1");
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Only its logins are asked for. */
let google: FakeGcs;
beforeAll(async () => {
  google = await startFakeGcs();
});
afterAll(() => google.stop());

function optionsOf(type: string): object {
  if (type === "s3") return { bucket: "bucket", access_key_id: "an-id", secret_access_key: "a-secret" };
  if (type === "gcs") return { bucket: "bucket", credentials: google.keyOf("writer") };
  return { account: "example", account_key: "c2VjcmV0", container: "backups" };
}

async function errorOf(type: string, raw: string): Promise<unknown> {
  const endpoint = await serve(raw);
  return await storageDefinitions[type]!.open({ ...optionsOf(type), endpoint }, { name: "cloud" }).then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe.each([
  ["s3", "an S3 service"],
  ["gcs", "Google Cloud Storage"],
  ["azure", "Azure's Blob Storage"],
])("%s", (type, service) => {
  test.each(Object.keys(FOREIGN))("%s at its address is told as no such service", async (what) => {
    expect(await errorOf(type, FOREIGN[what]!)).toMatchObject({
      code: "STORAGE_FAILED",
      retryable: true,
      message: expect.stringMatching(
        new RegExp(`^storage "cloud" cannot be opened: what answers there is not ${service}(?:: [^\\n]*[^.\\n])?$`),
      ),
      hint: expect.stringMatching(/endpoint.*proxy.*captive portal/),
    });
  });

  test.each(Object.keys(REFUSALS))("%s is told with its status", async (what) => {
    const { raw, says } = REFUSALS[what]!;

    expect(await errorOf(type, raw)).toMatchObject({
      code: "STORAGE_FAILED",
      message: expect.stringMatching(new RegExp(`^storage "cloud" cannot be opened: [^\\n]*${says}$`)),
    });
  });
});

test("an S3 service whose endpoint has the bucket in it is told as that", async () => {
  const body = '<?xml version="1.0"?><Error><Code>NoSuchKey</Code><Message>No such key.</Message></Error>';

  expect(await errorOf("s3", http("404 Not Found\r\nContent-Type: application/xml", body))).toMatchObject({
    code: "STORAGE_NOT_FOUND",
    hint: expect.stringContaining("endpoint is the service alone"),
  });
});
