import { hash } from "node:crypto";
import { PutObjectCommand, type PutObjectCommandInput, type S3Client } from "@aws-sdk/client-s3";
import { systemClock } from "../../platform/clock.ts";
import { abortedBy } from "./client.ts";
import { type S3Options, thawHours } from "./options.ts";

const DAY_MS = 24 * 60 * 60 * 1000;

export interface Content {
  readonly bytes: Uint8Array;
  /** In hex. */
  readonly sha256: string;
}

/** One whole object to send, and what the service is to check and do with it. */
interface Upload extends Content {
  readonly bucket: string;
  /** With the prefix. */
  readonly key: string;
  /** Ask the service to refuse where the name is taken. */
  readonly ifFree: boolean;
}

/** As `options` says, but for what would keep an object where it is. */
export function withoutLock(options: S3Options): S3Options {
  const { object_lock: _mode, object_lock_days: _days, ...unlocked } = options;
  return unlocked;
}

/** @returns when the service answered, by its own clock where it tells */
export async function upload(client: S3Client, options: S3Options, what: Upload, signal?: AbortSignal): Promise<Date> {
  const body = Buffer.from(what.bytes.buffer, what.bytes.byteOffset, what.bytes.length);
  const command = new PutObjectCommand({
    Bucket: what.bucket,
    Key: what.key,
    Body: body,
    ContentLength: body.length,
    ...(what.ifFree ? { IfNoneMatch: "*" } : {}),
    ...checksumOf(options, what, body),
    ...treatmentOf(options),
  });
  let answeredAt = systemClock.now();
  command.middlewareStack.add(
    (next) => async (args) => {
      // The service refuses other bytes than these; and they are not hashed a second time to sign them.
      headersOf(args.request)["x-amz-content-sha256"] = what.sha256;
      const result = await next(args);
      const { date = "" } = headersOf(result.response);
      if (!Number.isNaN(Date.parse(date))) answeredAt = new Date(date);
      return result;
    },
    { step: "build", name: "ownDigest" },
  );
  await client.send(command, abortedBy(signal));
  return answeredAt;
}

/** Beside the SHA-256 that is signed. MD5, which takes longer than all else, only where the service insists: for what it is to lock. */
function checksumOf(
  { checksums, object_lock }: S3Options,
  { sha256 }: Content,
  body: Buffer,
): Partial<PutObjectCommandInput> {
  if (checksums === "default") return { ChecksumSHA256: Buffer.from(sha256, "hex").toString("base64") };
  return object_lock === undefined ? {} : { ContentMD5: hash("md5", body, "base64") };
}

/** What is put can be read at once: it is moved to a cold class when it was. */
export function treatmentOf(
  options: S3Options,
): Pick<
  PutObjectCommandInput,
  "StorageClass" | "ServerSideEncryption" | "SSEKMSKeyId" | "ObjectLockMode" | "ObjectLockRetainUntilDate"
> {
  const { storage_class, sse, sse_kms_key, object_lock, object_lock_days = 0 } = options;
  const until = new Date(systemClock.now().getTime() + object_lock_days * DAY_MS);
  return {
    // The service knows more classes than the SDK has names for.
    ...(storage_class === undefined || thawHours(storage_class) !== undefined
      ? {}
      : { StorageClass: storage_class as PutObjectCommandInput["StorageClass"] }),
    ...(sse === undefined ? {} : { ServerSideEncryption: sse }),
    ...(sse_kms_key === undefined ? {} : { SSEKMSKeyId: sse_kms_key }),
    ...(object_lock === undefined
      ? {}
      : {
          ObjectLockMode: object_lock === "governance" ? "GOVERNANCE" : "COMPLIANCE",
          ObjectLockRetainUntilDate: until,
        }),
  };
}

function headersOf(message: unknown): Record<string, string> {
  const headers = typeof message === "object" && message !== null && "headers" in message ? message.headers : undefined;
  if (typeof headers !== "object" || headers === null) throw new TypeError("a message of the SDK has no headers");
  return headers as Record<string, string>;
}
