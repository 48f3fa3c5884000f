import type { StorageServer } from "../suites/network-suite.ts";
import { startVsftpd } from "./vsftpd.ts";

/** vsftpd as tests see it that work over any network storage. Ask `requireOrSkip("vsftpd", "root")` first. */
export async function startFtpPlaces(): Promise<StorageServer> {
  const server = await startVsftpd();
  const { user, password, caFile, dataPorts } = server;
  return {
    port: server.port,
    dataPorts,
    secrets: [password],
    newPlace: async () => {
      const path = server.newFolder();
      return ({ host, port }) => ({ type: "ftp", host, port, path, user, password, ca_file: caFile });
    },
    kill: server.kill,
    start: server.start,
    stop: server.stop,
  };
}
