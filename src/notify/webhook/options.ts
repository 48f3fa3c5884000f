import { validateHeaderName, validateHeaderValue } from "node:http";
import { z } from "zod";
import { TIMEOUT_PATTERN, TIMEOUT_RULE } from "../../domain/duration.ts";
import { plainConnectionProblems } from "../../domain/plain-connection.ts";
import type { OptionProblem } from "../definition.ts";

/** What this program says of the request itself. */
const OWN_HEADERS = [
  "connection",
  "content-length",
  "content-type",
  "expect",
  "host",
  "transfer-encoding",
  "upgrade",
  "x-backupctl-signature",
];

export const webhookOptions = z.object({
  url: z
    .url({ protocol: /^https?$/, error: "must be an address such as https://hooks.example.org/backup" })
    .describe("Where to. Whoever knows it can often post there, so it counts as a secret.")
    .meta({ secret: true, example: "https://hooks.example.org/backup" }),
  authorization: z
    .string()
    .refine(isHeaderValue, "must be one line without control characters")
    .optional()
    .describe("The header of that name, such as `Bearer …`.")
    .meta({ secret: true }),
  headers: z
    .record(
      z
        .string()
        .refine(isHeaderName, "is not the name of a header")
        .refine((name) => !OWN_HEADERS.includes(name.toLowerCase()), "is a header that backupctl sets itself"),
      z.string().refine(isHeaderValue, "must be one line without control characters"),
    )
    .default({})
    .describe("Further headers.")
    .meta({ concealed: true, example: { "X-Team": "operations" } }),
  secret: z
    .string()
    .min(16, "must have at least 16 characters")
    .optional()
    .describe("The body is signed with it: X-Backupctl-Signature is `sha256=` and the HMAC-SHA256 in hex.")
    .meta({ secret: true }),
  timeout: z
    .string()
    .regex(TIMEOUT_PATTERN, TIMEOUT_RULE)
    .default("10s")
    .describe("How long each of three tries may take."),
  ca_file: z
    .string()
    .min(1)
    .optional()
    .describe("Certificates (PEM) to trust beside the well-known ones.")
    .meta({ path: true, example: "/etc/backupctl/ca.pem" }),
  insecure: z.boolean().default(false).describe("Allow http:// to another host."),
});

export type WebhookOptions = z.output<typeof webhookOptions>;

/** Rules between options. */
export function webhookProblems({ url, authorization, headers, insecure }: WebhookOptions): readonly OptionProblem[] {
  const isTwice = authorization !== undefined && Object.keys(headers).some((name) => /^authorization$/i.test(name));
  return [
    ...plainConnectionProblems("url", url, insecure),
    ...(isTwice
      ? [{ path: ["headers"], message: "has an Authorization, which is one too many beside authorization" }]
      : []),
  ];
}

function isHeaderName(name: string): boolean {
  return accepts(() => validateHeaderName(name));
}

function isHeaderValue(value: string): boolean {
  return accepts(() => validateHeaderValue("value", value));
}

function accepts(check: () => void): boolean {
  try {
    check();
    return true;
  } catch {
    return false;
  }
}
