import { execFile } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { makeCertificate } from "./certificate.ts";
import { freePort } from "./free-port.ts";
import { NetworkServer } from "./network-server.ts";

const run = promisify(execFile);

export interface S3Login {
  readonly access_key_id: string;
  readonly secret_access_key: string;
}

export interface Radosgw {
  /** http:// on this host. */
  readonly endpoint: string;
  /** The same service over TLS, with a certificate that only the CA in `caFile` vouches for. */
  readonly tlsEndpoint: string;
  readonly port: number;
  readonly caFile: string;
  /** May make buckets. */
  readonly owner: S3Login;
  /** Another user, who may do what bucket policies grant. */
  readonly guest: S3Login;
  /** A user with room for so many bytes. */
  userWithQuota(name: string, bytes: number): Promise<S3Login>;
  /** As kill -9, of the gateway alone: `start` brings it back on its port with all that it had. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Ends it and removes everything. May be called twice. */
  stop(): Promise<void>;
}

interface RadosgwOptions {
  /** That it has beside STANDARD. To Ceph they are only names: all of them can be read at once. */
  readonly storageClasses?: readonly string[];
}

/** Starts a private Ceph with its S3 gateway: two to four seconds. Ask `requireOrSkip("radosgw")` first. */
export async function startRadosgw({ storageClasses = [] }: RadosgwOptions = {}): Promise<Radosgw> {
  const dir = mkdtempSync(join(tmpdir(), "backupctl-rgw-"));
  const { caFile } = await makeCertificate(dir);
  const [port, tlsPort, monitorPort] = [await freePort(), await freePort(), await freePort()];
  const ports = [port, tlsPort, monitorPort, await freePort()].map(String);
  const log = join(dir, "output.log");
  const setup = join(import.meta.dirname, "radosgw.sh");
  const cluster = await NetworkServer.start([setup, dir, ...ports], { port: monitorPort, log });
  const command = ["/usr/bin/radosgw", "--conf", join(dir, "ceph.conf"), "-n", "client.rgw", "-f"];
  const startGateway = () => NetworkServer.start(command, { port, log });
  let gateway: NetworkServer | undefined;

  const admin = async (...args: string[]): Promise<void> => {
    await run("radosgw-admin", ["--conf", join(dir, "ceph.conf"), "-n", "client.rgw", ...args]);
  };
  const user = async (name: string): Promise<S3Login> => {
    const login = { access_key_id: `${name}-key-id`, secret_access_key: `${name}-secret-of-40-characters-0123456789` };
    const keys = [`--access-key=${login.access_key_id}`, `--secret-key=${login.secret_access_key}`];
    await admin("user", "create", `--uid=${name}`, `--display-name=${name}`, ...keys);
    return login;
  };
  const stop = async (): Promise<void> => {
    await gateway?.kill();
    await cluster.kill();
    rmSync(dir, { recursive: true, force: true });
  };
  try {
    // The first to come makes the zone that classes are added to; a gateway reads them when it starts.
    const owner = await user("owner");
    for (const name of storageClasses) {
      const ofPlacement = ["--placement-id", "default-placement", "--storage-class", name];
      await admin("zonegroup", "placement", "add", "--rgw-zonegroup", "default", ...ofPlacement);
      await admin("zone", "placement", "add", "--rgw-zone", "default", ...ofPlacement, "--data-pool", `data.${name}`);
    }
    gateway = await startGateway();
    return {
      endpoint: `http://127.0.0.1:${port}`,
      tlsEndpoint: `https://localhost:${tlsPort}`,
      port,
      caFile,
      owner,
      guest: await user("guest"),
      userWithQuota: async (name, bytes) => {
        const login = await user(name);
        await admin("quota", "set", "--quota-scope=user", `--uid=${name}`, `--max-size=${bytes}`);
        await admin("quota", "enable", "--quota-scope=user", `--uid=${name}`);
        return login;
      },
      kill: async () => gateway?.kill(),
      start: async () => {
        gateway = await startGateway();
      },
      stop,
    };
  } catch (error) {
    await stop();
    throw error;
  }
}
