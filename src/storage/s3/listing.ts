import { ListObjectsV2Command, type ListObjectsV2CommandOutput, type S3Client } from "@aws-sdk/client-s3";
import { BackupctlError } from "../../errors.ts";
import { ForeignAnswer } from "../network/foreign-answer.ts";
import { isObjectName } from "../object-key.ts";
import type { StoredObject } from "../storage.ts";
import { abortedBy } from "./client.ts";
import { thawHours } from "./options.ts";

interface Listing {
  readonly storage: string;
  readonly bucket: string;
  /** What all our keys begin with: `""`, or a folder and a slash. */
  readonly root: string;
  /** `""`, or a folder and a slash. */
  readonly folder: string;
}

/** Every object below the folder, page after page. Whoever put objects of other names there keeps them to themselves. */
export async function* listObjects(
  client: S3Client,
  { storage, bucket, root, folder }: Listing,
  signal: AbortSignal | undefined,
): AsyncIterable<StoredObject> {
  let token: string | undefined;
  do {
    signal?.throwIfAborted();
    const page: ListObjectsV2CommandOutput = await client.send(
      new ListObjectsV2Command({ Bucket: bucket, Prefix: `${root}${folder}`, ContinuationToken: token }),
      abortedBy(signal),
    );
    requireListing(page);
    for (const { Key = "", Size, LastModified, StorageClass = "" } of page.Contents ?? []) {
      const key = Key.slice(root.length);
      if (!Key.startsWith(`${root}${folder}`) || !key.split("/").every(isObjectName)) continue;
      if (Size === undefined || LastModified === undefined)
        throw incomplete(storage, `it does not tell the size and time of ${key}`);
      const cold = thawHours(StorageClass) === undefined ? {} : { cold: true };
      yield { key, sizeBytes: Size, modifiedAt: wholeSecond(LastModified), ...cold };
    }
    token = nextToken(storage, page, token);
  } while (token !== undefined);
}

/** What is none would look like one without objects. @throws `ForeignAnswer` */
export function requireListing({ IsTruncated, Name, Contents }: ListObjectsV2CommandOutput): void {
  if (IsTruncated === undefined && Name === undefined && Contents === undefined)
    throw new ForeignAnswer("its answer is no listing");
}

/** A listing that breaks off looks like one of fewer objects. */
function nextToken(storage: string, page: ListObjectsV2CommandOutput, last: string | undefined): string | undefined {
  if (page.IsTruncated !== true) return undefined;
  const next = page.NextContinuationToken;
  if (next === undefined || next === "" || next === last)
    throw incomplete(storage, "it breaks off without saying where to go on");
  return next;
}

function incomplete(storage: string, what: string): BackupctlError {
  return new BackupctlError("STORAGE_FAILED", `the listing of storage "${storage}" is of no use: ${what}`, {
    hint: "The service does not keep to S3's protocol, or something between changes what it sends. Use another endpoint, or ask who runs it.",
  });
}

/** As `stat` tells it: HTTP has no fractions of a second. */
function wholeSecond(date: Date): Date {
  return new Date(Math.floor(date.getTime() / 1000) * 1000);
}
