import type { z } from "zod";
import type { BackupId, BackupMetadata } from "../domain/backup.ts";
import { describeIssues, metadataSchema } from "../domain/metadata-schema.ts";
import { BackupctlError } from "../errors.ts";
import { isMacValid, MAC_PATTERN, macOf } from "./mac.ts";
import { MAX_METADATA_BYTES, parseJsonObject, refuseOtherVersions, requireReadableSize } from "./parse-json.ts";

export interface DecodedMetadata {
  readonly metadata: BackupMetadata;
  readonly mac: string;
  /** As it was read: the mac is over this, not over what the schema made of it. */
  readonly raw: Readonly<Record<string, unknown>>;
}

/**
 * The bytes of metadata.json: JSON in the order of the schema, indented, ending with `mac`. The same metadata gives the same
 * bytes, in every storage.
 * @throws `BACKUP_FAILED` where they are more than can be read again
 */
export function encodeMetadata(metadata: BackupMetadata, macKey: Buffer | undefined): Buffer {
  const content = { ...metadataSchema.parse(metadata) };
  const bytes = Buffer.from(`${JSON.stringify({ ...content, mac: macOf(content, macKey) }, null, 2)}\n`);
  return requireReadableSize(bytes, `metadata.json of ${metadata.storage_path}`, {
    most: MAX_METADATA_BYTES,
    hint: "Shorten the description and the tags, or back up fewer sources at once: --source.",
  });
}

/**
 * Reads metadata.json without believing it yet: call `verifyMac` and `requirePlace` before use.
 * @throws `BACKUP_CORRUPTED` naming what is wrong; `UNSUPPORTED_FORMAT` for another version or members of a newer release.
 */
export function decodeMetadata(bytes: Uint8Array, where: string): DecodedMetadata {
  const what = `metadata.json of ${where}`;
  const raw = parseJsonObject(bytes, what, MAX_METADATA_BYTES);
  refuseOtherVersions(raw, what);
  // Reserved: no release writes one, so nothing is made of it.
  const { mac, signature: _signature, ...content } = raw;
  const parsed = metadataSchema.safeParse(content);
  if (!parsed.success) throw unreadable(what, parsed.error);
  if (typeof mac !== "string" || !MAC_PATTERN.test(mac)) {
    throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: it has no mac`);
  }
  return { metadata: parsed.data, mac, raw };
}

function unreadable(what: string, error: z.ZodError): BackupctlError {
  if (error.issues.every((issue) => issue.code === "unrecognized_keys")) {
    return new BackupctlError(
      "UNSUPPORTED_FORMAT",
      `${what} was written by a newer release: ${describeIssues(error)}`,
      {
        hint: "Upgrade backupctl on this host.",
      },
    );
  }
  return new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: ${describeIssues(error)}`);
}

/** Whether the metadata is what its writer wrote. With a key only an HMAC counts, without one only a plain hash. */
export function verifyMac(decoded: DecodedMetadata, macKey: Buffer | undefined): boolean {
  return isMacValid(decoded.raw, decoded.mac, macKey);
}

/**
 * Refuses metadata that was moved or copied from elsewhere.
 * @throws `BACKUP_CORRUPTED`
 */
export function requirePlace(
  metadata: BackupMetadata,
  expected: { readonly storagePath: string; readonly repositoryId: string; readonly id?: BackupId },
): void {
  const wrong = (what: string, said: string, wanted: string): BackupctlError =>
    new BackupctlError(
      "BACKUP_CORRUPTED",
      `metadata.json of ${expected.storagePath} says ${what} ${said}, not ${wanted}`,
    );
  if (metadata.storage_path !== expected.storagePath) {
    throw wrong("storage path", metadata.storage_path, expected.storagePath);
  }
  if (metadata.repository_id !== expected.repositoryId) {
    throw wrong("repository", metadata.repository_id, expected.repositoryId);
  }
  if (expected.id !== undefined && metadata.id !== expected.id) throw wrong("id", metadata.id, expected.id);
}
