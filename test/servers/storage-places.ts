import type { StorageServer } from "../suites/network-suite.ts";
import type { RequirementName } from "./requirements.ts";

interface StoragePlaces {
  readonly needs: readonly RequirementName[];
  readonly start: () => Promise<StorageServer>;
}

/** A real server of every storage type that there is one of. */
export const STORAGE_PLACES: Readonly<Record<string, StoragePlaces>> = {
  s3: { needs: ["radosgw"], start: async () => (await import("./s3-places.ts")).startS3Places() },
  azure: { needs: ["azurite"], start: async () => (await import("./azure-places.ts")).startAzurePlaces() },
  gcs: { needs: [], start: async () => (await import("./gcs-places.ts")).startGcsPlaces() },
  sftp: { needs: ["sshd", "root"], start: async () => (await import("./sftp-places.ts")).startSftpPlaces() },
  ftp: { needs: ["vsftpd", "root"], start: async () => (await import("./ftp-places.ts")).startFtpPlaces() },
};
