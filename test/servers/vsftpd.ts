import { chmodSync, chownSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { testAccount } from "./account.ts";
import { makeCertificate } from "./certificate.ts";
import { freePort } from "./free-port.ts";
import { NetworkServer } from "./network-server.ts";

export interface FtpServer {
  /** A name in the certificate. */
  readonly host: string;
  readonly port: number;
  readonly user: string;
  readonly password: string;
  /** Where data connections come in. */
  readonly dataPorts: readonly number[];
  /** The certificate of the authority that signed the server's. */
  readonly caFile: string;
  /** A new folder that the login may write to, removed with the server. */
  newFolder(): string;
  /** What the server logged so far, commands and answers included. */
  log(): string;
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

export interface FtpServerOptions {
  readonly tls?: "explicit" | "implicit" | "none";
  /** Further lines of vsftpd.conf. */
  readonly settings?: readonly string[];
}

const DATA_PORTS = 40;
const PAM_SERVICE = "backupctl-test-vsftpd";

/** A private vsftpd on a free port. Ask `requireOrSkip("vsftpd", "root")` first. */
export async function startVsftpd(options: FtpServerOptions = {}): Promise<FtpServer> {
  // Not TMPDIR: the login's account may be shut out of it.
  const dir = mkdtempSync("/tmp/backupctl-vsftpd-");
  chmodSync(dir, 0o755);
  const account = testAccount();
  mkdirSync(join(dir, "empty"));
  // The packaged service asks for a shell of /etc/shells too. All servers of all tests write the same.
  writeFileSync(
    `/etc/pam.d/${PAM_SERVICE}`,
    "auth required pam_unix.so\naccount required pam_permit.so\nsession required pam_permit.so\n",
  );
  const { caFile } = await makeCertificate(dir);
  const port = await freePort();
  // Nothing says that these are free, but that the system gave the first one away just now.
  const firstDataPort = await freePort();
  const dataPorts = Array.from({ length: DATA_PORTS }, (_, n) => firstDataPort + n);
  const log = join(dir, "log");
  writeFileSync(join(dir, "vsftpd.conf"), configuration(dir, { port, dataPorts, log, options }));
  writeFileSync(log, "");

  const start = () =>
    NetworkServer.start(["/usr/sbin/vsftpd", join(dir, "vsftpd.conf")], { port, log: join(dir, "output") });
  let server = await start();
  let folders = 0;
  return {
    host: "localhost",
    port,
    user: account.user,
    password: account.password,
    dataPorts,
    caFile,
    newFolder: () => {
      const folder = join(dir, `folder-${++folders}`);
      mkdirSync(folder);
      chownSync(folder, account.uid, account.gid);
      return folder;
    },
    log: () => readFileSync(log, "utf8"),
    logins: () => readFileSync(log, "utf8").match(/OK LOGIN/g)?.length ?? 0,
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

function configuration(
  dir: string,
  {
    port,
    dataPorts,
    log,
    options: { tls = "explicit", settings = [] },
  }: {
    readonly port: number;
    readonly dataPorts: readonly number[];
    readonly log: string;
    readonly options: FtpServerOptions;
  },
): string {
  const lines = [
    "listen=YES",
    "listen_ipv6=NO",
    "listen_address=127.0.0.1",
    `listen_port=${port}`,
    "background=NO",
    "anonymous_enable=NO",
    "local_enable=YES",
    "write_enable=YES",
    "local_umask=022",
    `local_root=${dir}`,
    `secure_chroot_dir=${dir}/empty`,
    `pam_service_name=${PAM_SERVICE}`,
    "pasv_address=127.0.0.1",
    `pasv_min_port=${dataPorts[0]}`,
    `pasv_max_port=${dataPorts.at(-1)}`,
    "connect_from_port_20=NO",
    "xferlog_enable=YES",
    `vsftpd_log_file=${log}`,
    "log_ftp_protocol=YES",
    "use_localtime=NO",
    "seccomp_sandbox=NO",
    "isolate=NO",
    "isolate_network=NO",
    ...(tls === "none" ? [] : tlsLines(dir)),
    ...(tls === "implicit" ? ["implicit_ssl=YES"] : []),
    ...settings,
  ];
  return `${lines.join("\n")}\n`;
}

function tlsLines(dir: string): string[] {
  return [
    "ssl_enable=YES",
    `rsa_cert_file=${dir}/server.pem`,
    `rsa_private_key_file=${dir}/server.key`,
    "force_local_logins_ssl=YES",
    "force_local_data_ssl=YES",
    "require_ssl_reuse=YES",
    "ssl_ciphers=HIGH",
  ];
}
