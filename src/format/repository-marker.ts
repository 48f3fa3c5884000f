import { z } from "zod";
import { describeIssues, instantSchema } from "../domain/metadata-schema.ts";
import { BackupctlError } from "../errors.ts";
import { parseJsonObject, refuseOtherVersions } from "./parse-json.ts";

/** `backupctl.json` at the top of a storage: says that this is a repository, and which one. */
export interface RepositoryMarker {
  readonly repositoryId: string;
  /** ISO, UTC. */
  readonly created: string;
}

const markerSchema = z.object({
  format: z.literal("backupctl"),
  version: z.literal(1),
  repository_id: z.uuid(),
  created: instantSchema,
});

export function encodeRepositoryMarker(marker: RepositoryMarker): Buffer {
  const content = markerSchema.parse({
    format: "backupctl",
    version: 1,
    repository_id: marker.repositoryId,
    created: marker.created,
  });
  return Buffer.from(`${JSON.stringify(content, null, 2)}\n`);
}

/** @throws `BACKUP_CORRUPTED`; `UNSUPPORTED_FORMAT` for another version. `where` names the storage. */
export function decodeRepositoryMarker(bytes: Uint8Array, where: string): RepositoryMarker {
  const what = `backupctl.json of ${where}`;
  const content = parseJsonObject(bytes, what);
  refuseOtherVersions(content, what);
  const parsed = markerSchema.safeParse(content);
  if (!parsed.success) {
    throw new BackupctlError("BACKUP_CORRUPTED", `${what} is damaged: ${describeIssues(parsed.error)}`);
  }
  return { repositoryId: parsed.data.repository_id, created: parsed.data.created };
}
