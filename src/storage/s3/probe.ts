import { hash } from "node:crypto";
import { Readable } from "node:stream";
import {
  GetBucketVersioningCommand,
  GetObjectLockConfigurationCommand,
  HeadObjectCommand,
  PutObjectCommand,
  type PutObjectCommandInput,
  type S3Client,
} from "@aws-sdk/client-s3";
import { type Probe, probeEach } from "../network/probing.ts";
import type { ProbeResult } from "../storage.ts";
import { isAmazon } from "./address.ts";
import { abortedBy } from "./client.ts";
import { freezing } from "./cold.ts";
import { statusOf } from "./errors.ts";
import { type S3Options, thawHours } from "./options.ts";
import { upload, withoutLock } from "./upload.ts";

interface Scratch {
  readonly client: S3Client;
  readonly options: S3Options;
  /** With the prefix and a slash at its end. */
  readonly folder: string;
  readonly signal: AbortSignal | undefined;
}

const PROBES: Readonly<Record<string, Probe<Scratch>>> = {
  "conditional writes": conditionalWrites,
  "signed SHA-256": signedSha256,
  "SHA-256 checksums": sha256Checksums,
  "Content-MD5": contentMd5,
  "checksum trailers": checksumTrailers,
  "storage class": storageClass,
  "object lock": objectLock,
  versioning,
};

/** What S3 services differ in, tried out on small objects, which stay. */
export function probeService(scratch: Scratch): AsyncIterable<ProbeResult> {
  return probeEach(PROBES, scratch, (error) => {
    const status = statusOf(error);
    return status !== undefined && error instanceof Error ? { status, code: error.name } : undefined;
  });
}

async function conditionalWrites({ client, options, folder, signal }: Scratch): ReturnType<Probe<Scratch>> {
  const put = async (text: string) => {
    const bytes = Buffer.from(text);
    await upload(
      client,
      // A locked scratch object would stay for as long as a backup.
      withoutLock(options),
      { bucket: options.bucket, key: `${folder}conditional`, bytes, sha256: hash("sha256", bytes), ifFree: true },
      signal,
    );
  };
  const absent = { outcome: "absent", setting: "conditional_writes: false" } as const;
  try {
    await put("first");
  } catch (error) {
    if (statusOf(error) !== 501) throw error;
    return { ...absent, detail: "the service does not know them" };
  }
  const status = await put("second").then(() => undefined, refusalOf);
  if (status === undefined) return { ...absent, detail: "the service overwrites all the same" };
  if (status !== 412 && status !== 409) return { outcome: "fails", detail: `the service answered ${status}` };
  const known = options.conditional_writes === true || isAmazon(options);
  return { outcome: "works", ...(known ? {} : { setting: "conditional_writes: true" }) };
}

async function signedSha256({ client, options, folder, signal }: Scratch): ReturnType<Probe<Scratch>> {
  const { bucket } = options;
  const other = { bytes: Buffer.from("bytes"), sha256: hash("sha256", "other bytes") };
  try {
    await upload(
      client,
      withoutLock({ ...options, checksums: "when_required" }),
      { ...other, bucket, key: `${folder}signed`, ifFree: false },
      signal,
    );
  } catch (error) {
    const status = statusOf(error);
    if (status !== 400 && status !== 403) throw error;
    return { outcome: "works" };
  }
  return { outcome: "absent", detail: "a wrong one is accepted: what is damaged on the way only verify notices" };
}

async function sha256Checksums(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const ofOther = hash("sha256", "other bytes", "base64");
  if (await refuses(scratch, "sha256", { ChecksumSHA256: ofOther })) return { outcome: "works" };
  return {
    outcome: "absent",
    detail: "a wrong one is accepted",
    ...(scratch.options.checksums === "default" ? { setting: "checksums: when_required" } : {}),
  };
}

async function contentMd5(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const ofOther = hash("md5", "other bytes", "base64");
  if (await refuses(scratch, "md5", { ContentMD5: ofOther })) return { outcome: "works" };
  return { outcome: "absent", detail: "a wrong one is accepted" };
}

async function checksumTrailers(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { client, signal } = scratch;
  const body = { Body: Readable.from([Buffer.from("bytes")]), ContentLength: 5, ChecksumAlgorithm: "CRC32" as const };
  const command = new PutObjectCommand({ ...objectIn(scratch, "trailer"), ...body });
  const status = await client.send(command, abortedBy(signal)).then(() => undefined, refusalOf);
  if (status === undefined) return { outcome: "works" };
  return { outcome: "absent", detail: `the service answered ${status}; backupctl does without them` };
}

async function storageClass(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { client, options, signal } = scratch;
  const wanted = options.storage_class;
  const isCold = wanted !== undefined && thawHours(wanted) !== undefined;
  await client.send(
    new PutObjectCommand({
      ...objectIn(scratch, "class"),
      Body: "bytes",
      ...(wanted === undefined || isCold ? {} : { StorageClass: wanted as PutObjectCommandInput["StorageClass"] }),
    }),
    abortedBy(signal),
  );
  if (isCold) await client.send(freezing(withoutLock(options), objectIn(scratch, "class"), wanted), abortedBy(signal));
  const { StorageClass: got = "STANDARD" } = await client.send(
    new HeadObjectCommand(objectIn(scratch, "class")),
    abortedBy(signal),
  );
  if (wanted === undefined || wanted === got) return { outcome: "works", detail: got };
  return { outcome: "fails", detail: `objects are stored as ${got}, not ${wanted}` };
}

async function objectLock({ client, options, signal }: Scratch): ReturnType<Probe<Scratch>> {
  const absent = { outcome: options.object_lock === undefined ? "absent" : "fails" } as const;
  try {
    const command = new GetObjectLockConfigurationCommand({ Bucket: options.bucket });
    const { ObjectLockConfiguration: lock } = await client.send(command, abortedBy(signal));
    // A service that does not know the question may answer another one.
    if (lock?.ObjectLockEnabled !== "Enabled") return { ...absent, detail: "the service does not know it" };
    const rule = lock.Rule?.DefaultRetention;
    const period = rule?.Years === undefined ? `${rule?.Days} days` : `${rule.Years} years`;
    const byDefault = rule === undefined ? "no default for new objects" : `${rule.Mode}, ${period}`;
    const isTried = options.object_lock === undefined ? "" : "; not tried, since what a check puts must go again";
    return { outcome: "works", detail: `${byDefault}${isTried}` };
  } catch (error) {
    if (statusOf(error) !== 404) throw error;
    return { ...absent, detail: "the bucket was made without it" };
  }
}

async function versioning({ client, options, signal }: Scratch): ReturnType<Probe<Scratch>> {
  const { Status } = await client.send(new GetBucketVersioningCommand({ Bucket: options.bucket }), abortedBy(signal));
  if (Status === "Enabled") return { outcome: "works", detail: "what is deleted stays as an old version" };
  return { outcome: "absent", detail: "what is deleted is gone at once" };
}

/** Whether the service refuses a checksum that is not that of the bytes. */
async function refuses(scratch: Scratch, name: string, checksum: Partial<PutObjectCommandInput>): Promise<boolean> {
  const command = new PutObjectCommand({ ...objectIn(scratch, name), Body: "bytes", ...checksum });
  const status = await scratch.client.send(command, abortedBy(scratch.signal)).then(() => undefined, refusalOf);
  return status !== undefined;
}

/** The status of a refusal; what is none is thrown. */
function refusalOf(error: unknown): number {
  const status = statusOf(error);
  if (status === undefined || status === 403 || (status >= 500 && status !== 501)) throw error;
  return status;
}

function objectIn({ options, folder }: Scratch, name: string): { readonly Bucket: string; readonly Key: string } {
  return { Bucket: options.bucket, Key: `${folder}${name}` };
}
