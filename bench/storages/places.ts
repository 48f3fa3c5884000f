import { execFileSync } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { CreateBucketCommand, S3Client } from "@aws-sdk/client-s3";
import { BlobServiceClient, ContainerSASPermissions, StorageSharedKeyCredential } from "@azure/storage-blob";
import { startAzurite } from "../../test/servers/azurite.ts";
import { startRadosgw } from "../../test/servers/radosgw.ts";
import { startSshd } from "../../test/servers/sshd.ts";
import { startVsftpd } from "../../test/servers/vsftpd.ts";

/** A server on this host, as backupctl's config and rclone's environment name it. */
export interface Place {
  readonly key: string;
  readonly title: string;
  /** The options of a storage of backupctl in a folder of this name there. */
  readonly storage: (folder: string) => Readonly<Record<string, unknown>>;
  /** Of a remote named `place`, and the folder in it. */
  readonly rclone: { readonly variables: Readonly<Record<string, string>>; readonly folder: string };
  stop(): Promise<void>;
}

export interface PlaceStarter {
  readonly key: string;
  start(folder: string): Promise<Place>;
}

const NAME = "bench";
/** Where rclone copies to: what it finds there already it would not send. */
const RCLONE = "rclone";

export const PLACES: readonly PlaceStarter[] = [
  { key: "local", start: startLocal },
  { key: "s3", start: startS3 },
  { key: "azure", start: startAzure },
  { key: "sftp", start: startSftp },
  { key: "ftp", start: startFtp },
];

async function startLocal(folder: string): Promise<Place> {
  const path = join(folder, "local");
  mkdirSync(path, { recursive: true });
  return {
    key: "local",
    title: "a folder on this disk",
    storage: (name) => ({ type: "local", path: join(path, name) }),
    rclone: { variables: remote({ type: "local" }), folder: join(path, RCLONE) },
    stop: async () => undefined,
  };
}

async function startS3(): Promise<Place> {
  const { endpoint, owner, stop } = await startRadosgw();
  const { access_key_id, secret_access_key } = owner;
  const client = new S3Client({
    endpoint,
    region: "us-east-1",
    forcePathStyle: true,
    credentials: { accessKeyId: access_key_id, secretAccessKey: secret_access_key },
  });
  await client.send(new CreateBucketCommand({ Bucket: NAME }));
  client.destroy();
  return {
    key: "s3",
    title: "s3: Ceph's gateway, its data in memory",
    storage: (prefix) => ({ type: "s3", bucket: NAME, prefix, endpoint, ...owner, checksums: "when_required" }),
    rclone: {
      variables: remote({ type: "s3", provider: "Ceph", endpoint, ...owner }),
      folder: `${NAME}/${RCLONE}`,
    },
    stop,
  };
}

async function startAzure(folder: string): Promise<Place> {
  const { account, accountKey, endpoint, stop } = await startAzurite(folder);
  const service = new BlobServiceClient(endpoint, new StorageSharedKeyCredential(account, accountKey));
  // rclone reaches an emulator by such an address only.
  const { containerClient } = await service.createContainer(RCLONE);
  const permissions = ContainerSASPermissions.parse("racwdl");
  const sas_url = await containerClient.generateSasUrl({ permissions, expiresOn: new Date(Date.now() + 86_400_000) });
  return {
    key: "azure",
    title: "azure: Azurite, an emulator",
    storage: (prefix) => ({ type: "azure", container: NAME, prefix, account, account_key: accountKey, endpoint }),
    rclone: { variables: remote({ type: "azureblob", sas_url }), folder: RCLONE },
    stop,
  };
}

async function startSftp(): Promise<Place> {
  const { host, port, user, password, privateKey, fingerprint, newFolder, stop } = await startSshd();
  const base = newFolder();
  return {
    key: "sftp",
    title: "sftp: OpenSSH",
    storage: (name) => ({
      ...{ type: "sftp", host, port, user, path: `${base}/${name}` },
      ...{ private_key: privateKey, host_key: fingerprint },
    }),
    rclone: {
      variables: remote({ type: "sftp", host, port: String(port), user, pass: obscured(password) }),
      folder: newFolder(),
    },
    stop,
  };
}

async function startFtp(): Promise<Place> {
  const { host, port, user, password, caFile, newFolder, stop } = await startVsftpd();
  const base = newFolder();
  const login = { host, port: String(port), user, pass: obscured(password) };
  return {
    key: "ftp",
    title: "ftp: vsftpd, with TLS",
    storage: (name) => ({ type: "ftp", host, port, user, password, ca_file: caFile, path: `${base}/${name}` }),
    rclone: {
      variables: remote({
        type: "ftp",
        ...login,
        explicit_tls: "true",
        no_check_certificate: "true",
        disable_tls13: "true",
      }),
      folder: newFolder(),
    },
    stop,
  };
}

/** As rclone wants passwords. */
function obscured(password: string): string {
  return execFileSync("rclone", ["obscure", password], { encoding: "utf8" }).trim();
}

function remote(options: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const named = Object.entries(options).map(([key, value]) => [`RCLONE_CONFIG_PLACE_${key.toUpperCase()}`, value]);
  // rclone's S3 fails where it is set.
  return { ...Object.fromEntries(named), AWS_CA_BUNDLE: "" };
}
