import {
  CopyObjectCommand,
  HeadObjectCommand,
  RestoreObjectCommand,
  type S3Client,
  type StorageClass,
} from "@aws-sdk/client-s3";
import type { ColdObjects } from "../storage.ts";
import { abortedBy } from "./client.ts";
import { type S3Options, type ThawTier, thawHours } from "./options.ts";
import { treatmentOf } from "./upload.ts";

const HOUR_MS = 3_600_000;

interface Bucket {
  readonly client: S3Client;
  readonly options: S3Options;
  readonly object: (key: string) => { readonly Bucket: string; readonly Key: string };
  /** Tells errors of the service as the port promises them. */
  readonly doing: <T>(what: string, signal: AbortSignal | undefined, work: () => Promise<T>) => Promise<T>;
}

/** Objects that the options, or a lifecycle rule of the bucket, move to an archive class. */
export function coldObjects({ client, options, object, doing }: Bucket): ColdObjects {
  const { thaw_days: Days, thaw_tier: Tier, storage_class } = options;
  const thaw: ColdObjects["thaw"] = (key, { signal } = {}) =>
    doing(`thaw ${key}`, signal, async () => {
      const RestoreRequest = { Days, GlacierJobParameters: { Tier } };
      try {
        await client.send(new RestoreObjectCommand({ ...object(key), RestoreRequest }), abortedBy(signal));
      } catch (error) {
        if (!(error instanceof Error && error.name === "RestoreAlreadyInProgress")) throw error;
      }
    });
  const warmth: ColdObjects["warmth"] = (key, { signal } = {}) =>
    doing(`look at ${key}`, signal, async () => {
      const { StorageClass: name = "", Restore = "" } = await client.send(
        new HeadObjectCommand(object(key)),
        abortedBy(signal),
      );
      const thawMs = thawMsOf(name, Tier);
      if (thawMs === undefined || Restore.includes('ongoing-request="false"')) return { state: "ready", thawMs: 0 };
      return { state: Restore === "" ? "frozen" : "thawing", thawMs };
    });
  if (storage_class === undefined || thawHours(storage_class) === undefined) return { thaw, warmth };
  return {
    thaw,
    warmth,
    freeze: (key, { signal } = {}) =>
      doing(`move ${key} to ${storage_class}`, signal, async () => {
        await client.send(freezing(options, object(key), storage_class), abortedBy(signal));
      }),
  };
}

/** The service copies the object onto itself: there is no moment without it. */
export function freezing(
  options: S3Options,
  object: { readonly Bucket: string; readonly Key: string },
  storageClass: string,
): CopyObjectCommand {
  const { Bucket, Key } = object;
  const source = Bucket.startsWith("arn:") ? `${Bucket}/object/${Key}` : `${Bucket}/${Key}`;
  return new CopyObjectCommand({
    ...object,
    ...treatmentOf(options),
    CopySource: encodeURI(source),
    StorageClass: storageClass as StorageClass,
  });
}

function thawMsOf(storageClass: string, tier: ThawTier): number | undefined {
  const hours = thawHours(storageClass);
  return hours === undefined ? undefined : (hours[tier] ?? hours.Standard) * HOUR_MS;
}
