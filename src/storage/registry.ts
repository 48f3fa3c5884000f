import { lazyStorage, type RegisteredStorage } from "./definition.ts";

/** Every storage type that a config may name. A new one is a folder and a line here (docs/adding-a-storage.md). */
export const storageDefinitions: Readonly<Record<string, RegisteredStorage>> = {
  azure: lazyStorage("azure", async () => (await import("./azure/adapter.ts")).azureAdapter, { knowsLocks: true }),
  ftp: lazyStorage("ftp", async () => (await import("./ftp/adapter.ts")).ftpAdapter),
  gcs: lazyStorage("gcs", async () => (await import("./gcs/adapter.ts")).gcsAdapter, { knowsLocks: true }),
  local: lazyStorage("local", async () => (await import("./local/adapter.ts")).localAdapter, { isLocal: true }),
  s3: lazyStorage("s3", async () => (await import("./s3/adapter.ts")).s3Adapter, { knowsLocks: true }),
  sftp: lazyStorage("sftp", async () => (await import("./sftp/adapter.ts")).sftpAdapter),
};
