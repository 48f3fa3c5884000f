import { execFileSync } from "node:child_process";
import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testAccount } from "./account.ts";
import { freePort } from "./free-port.ts";
import { NetworkServer } from "./network-server.ts";

type KeyType = "ed25519" | "rsa" | "ecdsa";

export interface SshServer {
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** A private key that the server accepts, and the same one under a passphrase. */
  readonly privateKey: string;
  readonly lockedKey: { readonly file: string; readonly text: string; readonly passphrase: string };
  /** Paths of the server's host keys, without .pub. */
  readonly hostKeys: readonly string[];
  /** `SHA256:…` of the first host key. */
  readonly fingerprint: string;
  /** A new folder that the login may write to, removed with the server. */
  newFolder(): string;
  /** What the server logged so far. */
  log(): string;
  /** How often somebody has logged in. */
  logins(): number;
  /** As kill -9 of the server and all of its children; `start` brings it back on the same port. */
  kill(): Promise<void>;
  start(): Promise<void>;
  /** Nothing moves any more, on connections old and new, until `resume`. */
  pause(): void;
  resume(): void;
  /** Ends the server, removes everything. */
  stop(): Promise<void>;
}

export interface SshServerOptions {
  /** Kinds of host keys, best first. */
  readonly hostKeys?: readonly KeyType[];
  /** Further lines of sshd_config. */
  readonly settings?: readonly string[];
}

/** A private OpenSSH server with SFTP on a free port. Ask `requireOrSkip("sshd", "root")` first. */
export async function startSshd(options: SshServerOptions = {}): Promise<SshServer> {
  // Not TMPDIR: the login's account may be shut out of it.
  const dir = mkdtempSync("/tmp/backupctl-sshd-");
  chmodSync(dir, 0o755);
  const account = testAccount();
  mkdirSync("/run/sshd", { recursive: true });
  const port = await freePort();

  const hostKeys = (options.hostKeys ?? ["ed25519"]).map((type) => newKey(join(dir, `host_${type}`), type));
  const plain = newKey(join(dir, "client"), "ed25519");
  const passphrase = "open sesame";
  const locked = newKey(join(dir, "locked"), "ed25519", passphrase);
  writeFileSync(join(dir, "authorized_keys"), `${publicKey(plain)}${publicKey(locked)}`);
  writeFileSync(join(dir, "sshd_config"), configuration(dir, { port, user: account.user, hostKeys, options }));

  const log = join(dir, "log");
  const start = () =>
    NetworkServer.start(["/usr/sbin/sshd", "-D", "-e", "-f", join(dir, "sshd_config")], { port, log });
  let server = await start();
  let folders = 0;
  return {
    host: "127.0.0.1",
    port,
    user: account.user,
    password: account.password,
    privateKey: readFileSync(plain, "utf8"),
    lockedKey: { file: locked, text: readFileSync(locked, "utf8"), passphrase },
    hostKeys,
    fingerprint: fingerprintOf(hostKeys[0] ?? ""),
    newFolder: () => {
      const folder = join(dir, `folder-${++folders}`);
      mkdirSync(folder);
      chownSync(folder, account.uid, account.gid);
      return folder;
    },
    log: () => readFileSync(log, "utf8"),
    logins: () => readFileSync(log, "utf8").match(/^Accepted /gm)?.length ?? 0,
    kill: () => server.kill(),
    start: async () => {
      server = await start();
    },
    pause: () => server.signal("SIGSTOP"),
    resume: () => server.signal("SIGCONT"),
    stop: async () => {
      await server.kill();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function newKey(file: string, type: KeyType, passphrase = ""): string {
  execFileSync("ssh-keygen", ["-q", "-t", type, "-N", passphrase, "-f", file]);
  return file;
}

export function publicKey(file: string): string {
  return readFileSync(`${file}.pub`, "utf8");
}

export function fingerprintOf(file: string): string {
  return execFileSync("ssh-keygen", ["-lf", file], { encoding: "utf8" }).split(" ")[1] ?? "";
}

function configuration(
  dir: string,
  {
    port,
    user,
    hostKeys,
    options,
  }: {
    readonly port: number;
    readonly user: string;
    readonly hostKeys: readonly string[];
    readonly options: SshServerOptions;
  },
): string {
  const lines = [
    // The first line about a setting counts.
    ...(options.settings ?? []),
    `Port ${port}`,
    "ListenAddress 127.0.0.1",
    ...hostKeys.map((file) => `HostKey ${file}`),
    `PidFile ${dir}/pid`,
    `AuthorizedKeysFile ${dir}/authorized_keys`,
    "StrictModes no",
    "UsePAM no",
    "PasswordAuthentication yes",
    "MaxStartups 100",
    "LogLevel VERBOSE",
    `AllowUsers ${user}`,
    "Subsystem sftp internal-sftp -l INFO",
    `Match User ${user}`,
    "  ForceCommand internal-sftp",
  ];
  return `${lines.join("\n")}\n`;
}
