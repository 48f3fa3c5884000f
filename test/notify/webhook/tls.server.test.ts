import { readFileSync } from "node:fs";
import { createServer } from "node:https";
import { beforeAll, describe, expect, onTestFinished, test } from "vitest";
import type { Notifier } from "../../../src/notify/notifier.ts";
import { notifierDefinitions } from "../../../src/notify/registry.ts";
import { startReceiver } from "../../helpers/receiver.ts";
import { suiteTempDir } from "../../helpers/temp-dir.ts";
import { type Certificate, makeCertificate } from "../../servers/certificate.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { NOTIFICATION } from "../../suites/notifier-suite.ts";

const NEVER = new AbortController().signal;

describe.runIf(requireOrSkip("openssl"))("a webhook over TLS", () => {
  const directory = suiteTempDir();
  let certificate: Certificate;
  let tls: { readonly key: Buffer; readonly cert: Buffer };

  beforeAll(async () => {
    certificate = await makeCertificate(directory);
    tls = { key: readFileSync(certificate.keyFile), cert: readFileSync(certificate.certificateFile) };
  });

  async function open(options: Readonly<Record<string, unknown>>): Promise<Notifier> {
    const notifier = await notifierDefinitions.webhook?.open(options, { name: "ops" });
    if (notifier === undefined) throw new Error("no webhook");
    return notifier;
  }

  test("trusts whom ca_file names, beside the well-known ones", async () => {
    const receiver = await startReceiver(tls);

    await (await open({ url: receiver.url, ca_file: certificate.caFile })).send(NOTIFICATION, NEVER);

    expect(receiver.requests).toHaveLength(1);
  });

  test("tells nothing to a receiver that nobody vouches for, though plain connections are allowed", async () => {
    const receiver = await startReceiver(tls);

    await expect((await open({ url: receiver.url, insecure: true })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ code: "NOTIFICATION_FAILED", retryable: false, hint: expect.stringContaining("ca_file") },
    });
    expect(receiver.requests).toEqual([]);
  });

  test("tells nothing to one whose certificate is for another name", async () => {
    const receiver = await startReceiver(tls);
    const url = receiver.url.replace("127.0.0.1", "127.0.0.3");
    const another = createServer(tls, (_, response) => void response.end());
    await new Promise<void>((resolve) => another.listen(Number(new URL(url).port), "127.0.0.3", resolve));
    onTestFinished(() => void another.close());

    await expect((await open({ url, ca_file: certificate.caFile })).send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ retryable: false, hint: expect.stringContaining("is for another name") },
    });
  });

  test("speaks no TLS older than 1.2", async () => {
    const old = createServer({ ...tls, minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" });
    await new Promise<void>((resolve) => old.listen(0, "127.0.0.1", resolve));
    onTestFinished(() => void old.close());
    const address = old.address();
    const port = typeof address === "object" ? address?.port : undefined;

    const notifier = await open({ url: `https://127.0.0.1:${port}/`, ca_file: certificate.caFile });

    await expect(notifier.send(NOTIFICATION, NEVER)).rejects.toMatchObject({
      ...{ retryable: false, hint: expect.stringContaining("TLS that is safe") },
    });
  });
});
