import { createHmac } from "node:crypto";
import * as tls from "node:tls";
import { durationMs, parseFiniteDuration } from "../../domain/duration.ts";
import { BackupctlError, messageOf } from "../../errors.ts";
import { readCertificates } from "../../platform/certificates.ts";
import { failedCall, networkFailure } from "../../platform/network-failure.ts";
import type { Notification, Notifier, NotifierContext } from "../notifier.ts";
import { type WebhookOptions, webhookProblems } from "./options.ts";
import { post } from "./post.ts";

/** POSTs notifications as JSON (docs/notify/webhook.md). @throws `CONFIG_INVALID` */
export async function openWebhook(options: WebhookOptions, { name }: NotifierContext): Promise<Notifier> {
  const { url, authorization, headers, secret, ca_file } = options;
  const [problem] = webhookProblems(options);
  if (problem !== undefined) throw unusable(name, `${problem.path.join(".")} ${problem.message}`);
  const ca = ca_file === undefined ? undefined : [...tls.rootCertificates, await trustedIn(ca_file, name)];
  const timeoutMs = durationMs(parseFiniteDuration(options.timeout));
  return {
    async send(notification, signal) {
      const body = bodyOf(notification);
      const late = AbortSignal.timeout(timeoutMs);
      let status: number;
      try {
        status = await post(new URL(url), body, {
          headers: {
            ...headers,
            "Content-Type": "application/json",
            "User-Agent": "backupctl",
            ...(authorization === undefined ? {} : { Authorization: authorization }),
            ...(secret === undefined ? {} : { "X-Backupctl-Signature": signatureOf(body, secret) }),
          },
          ca,
          signal: AbortSignal.any([signal, late]),
        });
      } catch (error) {
        signal.throwIfAborted();
        throw late.aborted ? isLate(name, options.timeout) : unreachable(name, error);
      }
      if (status < 200 || status > 299) throw refused(name, status);
    },
  };
}

function bodyOf({ lines, ...notification }: Notification): string {
  return JSON.stringify({ version: 1, ...notification, text: lines.join("\n") });
}

function signatureOf(body: string, secret: string): string {
  return `sha256=${createHmac("sha256", secret).update(body).digest("hex")}`;
}

async function trustedIn(file: string, name: string): Promise<string> {
  return await readCertificates(file).catch((error: unknown) => {
    throw unusable(name, `ca_file: ${messageOf(error)}`);
  });
}

function unusable(name: string, what: string): BackupctlError {
  return new BackupctlError("CONFIG_INVALID", `notifier "${name}": ${what}`, {
    hint: "Check the config with `backupctl config validate`.",
  });
}

function isLate(name: string, timeout: string): BackupctlError {
  return failed(name, `the receiver did not answer within ${timeout}`, {
    retryable: true,
    hint: "See why it is slow, or allow it more with `timeout`.",
  });
}

/** What the system says has the host's name in it, which may be half of the secret: only its code is told. */
function unreachable(name: string, error: unknown): BackupctlError {
  const known = networkFailure(error, "its `url`", "ca_file");
  const code = failedCall(error)?.code ?? "the connection failed";
  return failed(name, `the receiver can't be reached: ${code}`, {
    retryable: known?.retryable ?? true,
    hint: known?.hint ?? "See that an HTTP server answers at its `url`.",
  });
}

function refused(name: string, status: number): BackupctlError {
  const isPassing = status >= 500 || [408, 425, 429].includes(status);
  return failed(name, `the receiver answered ${status}`, { retryable: isPassing, hint: hintOf(status) });
}

function hintOf(status: number): string {
  if (status >= 500 || status === 429) return "Look into the receiver's own log.";
  if (status >= 300 && status < 400)
    return "Give as `url` the address that it leads to: redirections are not followed.";
  if (status === 401 || status === 403) return "Check its `url`, and `authorization` or `secret`.";
  return "Check its `url`, and that what answers there takes JSON by POST.";
}

function failed(
  name: string,
  what: string,
  details: { readonly retryable: boolean; readonly hint: string },
): BackupctlError {
  return new BackupctlError("NOTIFICATION_FAILED", `notifier "${name}": ${what}`, details);
}
