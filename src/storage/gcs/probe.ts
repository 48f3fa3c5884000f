import type { Bucket } from "@google-cloud/storage";
import { type Probe, probeEach } from "../network/probing.ts";
import type { ProbeResult } from "../storage.ts";
import { type BucketSettings, RefusedError, SETTINGS, toSettings } from "./answers.ts";
import type { GcsOptions } from "./options.ts";
import { md5Of, upload } from "./upload.ts";

interface Scratch {
  readonly bucket: Bucket;
  readonly options: GcsOptions;
  /** With the prefix and a slash at its end. */
  readonly folder: string;
}

const DAY_S = 86_400;

const PROBES: Readonly<Record<string, Probe<Scratch>>> = {
  "conditional writes": conditionalWrites,
  "MD5 checksums": md5Checksums,
  "storage class": storageClass,
  versioning,
  "soft delete": softDelete,
  "retention policy": retentionPolicy,
};

/** What buckets and other services of this interface differ in, tried out on small objects, which stay. */
export function probeBucket(scratch: Scratch): AsyncIterable<ProbeResult> {
  return probeEach(PROBES, scratch, (error) =>
    error instanceof RefusedError ? { status: error.status, code: error.reason } : undefined,
  );
}

async function conditionalWrites(scratch: Scratch): ReturnType<Probe<Scratch>> {
  await put(scratch, "conditional");
  if ((await refusalOf(put(scratch, "conditional"))) === 412) return { outcome: "works" };
  return { outcome: "fails", detail: "the service overwrites all the same: several hosts can't share it" };
}

async function md5Checksums(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const ofOther = md5Of(Buffer.from("other bytes"));
  if ((await refusalOf(put(scratch, "md5", ofOther))) === 400) return { outcome: "works" };
  return { outcome: "absent", detail: "a wrong one is accepted" };
}

async function storageClass(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { storage_class: wanted } = scratch.options;
  const { storageClass: got = "STANDARD" } = await put(scratch, "class");
  if (wanted === undefined || wanted === got) return { outcome: "works", detail: got };
  return { outcome: "fails", detail: `objects are stored as ${got}, not ${wanted}` };
}

async function versioning({ bucket }: Scratch): ReturnType<Probe<Scratch>> {
  const { versioning: isOn } = await settingsOf(bucket);
  return isOn ? { outcome: "works", detail: "what is deleted stays as an old version" } : { outcome: "absent" };
}

async function softDelete({ bucket }: Scratch): ReturnType<Probe<Scratch>> {
  const { softDeleteSeconds: seconds } = await settingsOf(bucket);
  if (seconds === 0) return { outcome: "absent" };
  return { outcome: "works", detail: `what is deleted stays for ${Math.round(seconds / DAY_S)} days` };
}

async function retentionPolicy({ bucket }: Scratch): ReturnType<Probe<Scratch>> {
  const { retentionSeconds: seconds } = await settingsOf(bucket);
  if (seconds === 0) return { outcome: "absent" };
  const days = Math.ceil(seconds / DAY_S);
  return { outcome: "works", detail: `what is put can't be deleted for ${days} days, this check's objects too` };
}

async function settingsOf(bucket: Bucket): Promise<BucketSettings> {
  const [metadata] = await bucket.getMetadata({ fields: SETTINGS });
  return toSettings(metadata);
}

function put({ bucket, options, folder }: Scratch, name: string, md5Hash?: string): ReturnType<typeof upload> {
  const bytes = Buffer.from("bytes");
  return upload(bucket, options, { name: `${folder}${name}`, bytes, md5Hash: md5Hash ?? md5Of(bytes) });
}

/** The status of a refusal, undefined for a success. */
async function refusalOf(work: Promise<unknown>): Promise<number | undefined> {
  try {
    await work;
    return undefined;
  } catch (error) {
    if (error instanceof RefusedError && [400, 412].includes(error.status)) return error.status;
    throw error;
  }
}
