import type { StorageServer } from "../suites/network-suite.ts";
import { startSshd } from "./sshd.ts";

/** An OpenSSH server as tests see it that work over any network storage. Ask `requireOrSkip("sshd", "root")` first. */
export async function startSftpPlaces(): Promise<StorageServer> {
  const server = await startSshd();
  const { user, password, fingerprint } = server;
  return {
    port: server.port,
    secrets: [password],
    newPlace: async () => {
      const path = server.newFolder();
      return ({ host, port }) => ({ type: "sftp", host, port, user, password, path, host_key: fingerprint });
    },
    kill: server.kill,
    start: server.start,
    stop: server.stop,
  };
}
