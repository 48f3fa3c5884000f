import { createHmac } from "node:crypto";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import type { Notifier } from "../../../src/notify/notifier.ts";
import { notifierDefinitions } from "../../../src/notify/registry.ts";
import { type Behaviour, startReceiver } from "../../helpers/receiver.ts";
import { NOTIFICATION, notifierSuite } from "../../suites/notifier-suite.ts";

const NEVER = new AbortController().signal;
const SECRET = "a secret to sign with";
const SAID = "you called /hooks/T0000-a-token-in-the-path";

const HOW: Readonly<Record<string, Behaviour>> = {
  refuses: { status: 400, says: SAID },
  "is busy": { status: 503, says: SAID },
  "is silent": "silent",
  "hangs up": "hangs up",
};

async function open(options: Readonly<Record<string, unknown>>): Promise<Notifier> {
  const definition = notifierDefinitions.webhook;
  if (definition === undefined) throw new Error("no webhook");
  return definition.open(options, { name: "ops" });
}

notifierSuite({
  name: "webhook",
  async start() {
    const receiver = await startReceiver();
    const bodySchema = z.object({ title: z.string(), text: z.string() });
    return {
      open: () => open({ url: receiver.url, authorization: "Bearer of-bad-news", secret: SECRET, timeout: "1s" }),
      received: () =>
        receiver.requests.map(({ body }) => {
          const { title, text } = bodySchema.parse(JSON.parse(body));
          return `${title}\n${text}`;
        }),
      behave: async (how) => {
        const behaviour = HOW[how];
        if (behaviour === undefined) await receiver.stop();
        else receiver.behave(behaviour);
      },
      secrets: [receiver.url, new URL(receiver.url).host, "T0000-a-token-in-the-path", "of-bad-news", SECRET],
    };
  },
});

describe("a webhook", () => {
  test("gets the documented body by POST, signed, with the headers that are configured", async () => {
    const receiver = await startReceiver();
    const headers = { "X-Team": "operations" };
    const notifier = await open({ url: receiver.url, authorization: "Bearer x", headers, secret: SECRET });

    await notifier.send(NOTIFICATION, NEVER);

    const [request] = receiver.requests;
    const { lines, ...others } = NOTIFICATION;
    expect(request).toMatchObject({ method: "POST", path: "/hooks/T0000-a-token-in-the-path" });
    expect(JSON.parse(request?.body ?? "")).toEqual({ version: 1, ...others, text: lines.join("\n") });
    expect(request?.headers).toMatchObject({
      ...{ "content-type": "application/json", "user-agent": "backupctl", "x-team": "operations" },
      authorization: "Bearer x",
      "x-backupctl-signature": `sha256=${createHmac("sha256", SECRET)
        .update(request?.body ?? "")
        .digest("hex")}`,
    });
  });

  test("takes login and password out of the address", async () => {
    const receiver = await startReceiver();
    const notifier = await open({ url: receiver.url.replace("//", "//me:pass%20word@") });

    await notifier.send(NOTIFICATION, NEVER);

    const [request] = receiver.requests;
    expect(request?.headers.authorization).toBe(`Basic ${Buffer.from("me:pass word").toString("base64")}`);
    expect(request?.headers["x-backupctl-signature"]).toBeUndefined();
  });

  test.each([200, 201, 202, 204, 299])("has taken it with %i", async (status) => {
    const receiver = await startReceiver();
    receiver.behave({ status });

    await (await open({ url: receiver.url })).send(NOTIFICATION, NEVER);
  });

  test.each([
    [301, false],
    [401, false],
    [404, false],
    [408, true],
    [410, false],
    [413, false],
    [425, true],
    [429, true],
    [500, true],
    [502, true],
  ])("has not with %i; to be tried again: %s", async (status, retryable) => {
    const receiver = await startReceiver();
    receiver.behave({ status });

    await expect((await open({ url: receiver.url })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ code: "NOTIFICATION_FAILED", message: `notifier "ops": the receiver answered ${status}`, retryable },
    });
  });

  test.each(["file:///etc/passwd", "elsewhere"])("leads nowhere else: not to %s", async (place) => {
    const [receiver, elsewhere] = [await startReceiver(), await startReceiver()];
    receiver.behave({ status: 307, headers: { location: place === "elsewhere" ? elsewhere.url : place } });

    await expect((await open({ url: receiver.url })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ retryable: false, hint: expect.stringContaining("redirections are not followed") },
    });
    expect(elsewhere.requests).toEqual([]);
  });

  test("reads nothing of an answer that never ends", async () => {
    const receiver = await startReceiver();
    receiver.behave("endless");
    const before = process.memoryUsage().rss;

    await (await open({ url: receiver.url })).send(NOTIFICATION, NEVER);

    expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
  });

  test.each([
    ["dribbles", "did not answer within 1s"],
    ["babbles", "can't be reached: HPE_"],
  ] as const)("waits its time and no longer for one that %s", async (behaviour, message) => {
    const receiver = await startReceiver();
    receiver.behave(behaviour);

    await expect((await open({ url: receiver.url, timeout: "1s" })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ code: "NOTIFICATION_FAILED", retryable: true, message: expect.stringContaining(message) },
    });
  });

  test("does not take endless headers for an answer", async () => {
    const receiver = await startReceiver();
    receiver.behave({ status: 200, headers: { "x-long": "a".repeat(100_000) } });

    await expect((await open({ url: receiver.url })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      code: "NOTIFICATION_FAILED",
    });
  });

  test("of a host that nobody knows is not tried again", async () => {
    const notifier = await open({ url: "https://a-secret-name.invalid/hook" });

    const error: unknown = await notifier.send(NOTIFICATION, NEVER).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: "NOTIFICATION_FAILED" });
    expect(String(error)).not.toContain("a-secret-name");
  });
});

describe("the options of a webhook", () => {
  const url = "https://hooks.example.org/secret-path";

  test.each<[string, Readonly<Record<string, unknown>>, string]>([
    ["no address", {}, "url"],
    ["another protocol", { url: "file:///etc/passwd" }, "url must be an address such as"],
    ["no TLS to another host", { url: "http://hooks.example.org/secret-path" }, "url is not encrypted"],
    ["a header that is none", { url, headers: { "a b": "c" } }, "headers"],
    ["a header that becomes two", { url, headers: { "X-A": "b\r\nX-C: d" } }, "must be one line"],
    ["a header that is set", { url, headers: { "content-LENGTH": "5" } }, "headers"],
    ["a login of two lines", { url, authorization: "Bearer a\nHost: b" }, "authorization must be one line"],
    ["two logins", { url, authorization: "a", headers: { Authorization: "b" } }, "one too many"],
    ["a short secret", { url, secret: "short" }, "secret must have at least 16"],
    ["no time", { url, timeout: "0s" }, "timeout must be a duration"],
    ["no file of certificates", { url, ca_file: "/nowhere/ca.pem" }, "/nowhere/ca.pem"],
    ["a folder of certificates", { url, ca_file: "/" }, "ca_file: "],
  ])("with %s are refused, without what is secret in them", async (_, options, message) => {
    const error: unknown = await open(options).catch((thrown: unknown) => thrown);

    expect(error).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
    expect(String(error)).not.toContain("secret-path");
  });

  test.each([
    { url: "http://hooks.example.org/hook", insecure: true },
    { url: "http://localhost:8080/hook" },
    { url: "http://[::1]/hook" },
    { url, timeout: "2m", headers: { Authorization: "Bearer a" } },
  ])("are fine: $url", async (options) => {
    await open(options);
  });
});
