import { createHash } from "node:crypto";
import type { Bucket, FileMetadata } from "@google-cloud/storage";
import type { GcsOptions } from "./options.ts";

/** As the service has it: in base64. */
export function md5Of(bytes: Uint8Array): string {
  return createHash("md5").update(bytes).digest("base64");
}

/**
 * Puts a new object in one request. @returns what the service says of it
 * @throws `RefusedError` 412 where the name is taken, 400 where `md5Hash` is not that of the bytes
 */
export async function upload(
  bucket: Bucket,
  { storage_class: storageClass, kms_key: kmsKeyName }: GcsOptions,
  { name, bytes, md5Hash }: { readonly name: string; readonly bytes: Uint8Array; readonly md5Hash: string },
): Promise<FileMetadata> {
  const file = bucket.file(name, kmsKeyName === undefined ? {} : { kmsKeyName });
  await file.save(bytes, {
    resumable: false,
    preconditionOpts: { ifGenerationMatch: 0 },
    contentType: "application/octet-stream",
    metadata: { md5Hash, ...(storageClass === undefined ? {} : { storageClass }) },
    // The service compares, before anybody sees the object. The library would do it after that, and remove the object.
    validation: false,
  });
  return file.metadata;
}
