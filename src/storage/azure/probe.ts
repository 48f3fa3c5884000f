import { createHash } from "node:crypto";
import { type BlockBlobUploadOptions, type ContainerClient, RestError } from "@azure/storage-blob";
import { type Probe, probeEach, type ServiceAnswer } from "../network/probing.ts";
import type { ProbeResult } from "../storage.ts";
import { codeOf, isTaken } from "./errors.ts";
import type { AzureOptions } from "./options.ts";

interface Scratch {
  readonly client: ContainerClient;
  /** With the prefix and a slash at its end. */
  readonly folder: string;
  readonly tier: AzureOptions["tier"];
  readonly abort: { readonly abortSignal?: AbortSignal };
}

const PROBES: Readonly<Record<string, Probe<Scratch>>> = {
  "conditional writes": conditionalWrites,
  "Content-MD5": contentMd5,
  "access tier": accessTier,
  versioning,
  "soft delete": softDelete,
  immutability,
};

/** What accounts and emulators differ in, tried out on small blobs, which stay. */
export function probeContainer(scratch: Scratch): AsyncIterable<ProbeResult> {
  return probeEach(PROBES, scratch, answerOf);
}

function answerOf(error: unknown): ServiceAnswer | undefined {
  if (!(error instanceof RestError) || error.statusCode === undefined) return undefined;
  return { status: error.statusCode, code: codeOf(error) };
}

async function conditionalWrites(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const options = { conditions: { ifNoneMatch: "*" } };
  await put(scratch, "conditional", options);
  try {
    await put(scratch, "conditional", options);
  } catch (error) {
    if (isTaken(error)) return { outcome: "works" };
    throw error;
  }
  return { outcome: "fails", detail: "the service overwrites all the same: several hosts can't share it" };
}

async function contentMd5(scratch: Scratch): ReturnType<Probe<Scratch>> {
  try {
    await put(scratch, "md5", { transactionalContentMD5: createHash("md5").update("other bytes").digest() });
  } catch (error) {
    if (answerOf(error)?.status === 400) return { outcome: "works" };
    throw error;
  }
  return { outcome: "absent", detail: "a wrong one is accepted" };
}

async function accessTier(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { tier, abort } = scratch;
  await put(scratch, "tier", tier === undefined || tier === "Archive" ? {} : { tier });
  if (tier === "Archive") await blobOf(scratch, "tier").setAccessTier(tier, abort);
  const { accessTier: got = "none" } = await blobOf(scratch, "tier").getProperties(abort);
  if (tier === undefined || tier === got) return { outcome: "works", detail: got };
  return { outcome: "fails", detail: `objects are stored as ${got}, not ${tier}` };
}

async function versioning(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { versionId } = await put(scratch, "version");
  return versionId === undefined
    ? { outcome: "absent" }
    : { outcome: "works", detail: "what is deleted stays as an old version" };
}

async function softDelete(scratch: Scratch): ReturnType<Probe<Scratch>> {
  const { client, folder, abort } = scratch;
  await put(scratch, "deleted");
  await blobOf(scratch, "deleted").delete(abort);
  const listing = client.listBlobsFlat({ prefix: `${folder}deleted`, includeDeleted: true, ...abort });
  for await (const { deleted, properties } of listing) {
    if (deleted !== true) continue;
    return { outcome: "works", detail: `what is deleted stays for ${properties.remainingRetentionDays} days` };
  }
  return { outcome: "absent" };
}

async function immutability({ client, abort }: Scratch): ReturnType<Probe<Scratch>> {
  const { hasImmutabilityPolicy, hasLegalHold } = await client.getProperties(abort);
  if (hasImmutabilityPolicy !== true && hasLegalHold !== true) return { outcome: "absent" };
  const keeper = hasLegalHold === true ? "a legal hold" : "a policy";
  return { outcome: "works", detail: `${keeper} of the container keeps what is put, this check's objects too` };
}

function put(scratch: Scratch, name: string, options: BlockBlobUploadOptions = {}) {
  return blobOf(scratch, name).upload("bytes", "bytes".length, { ...scratch.abort, ...options });
}

function blobOf({ client, folder }: Scratch, name: string) {
  return client.getBlockBlobClient(`${folder}${name}`);
}
