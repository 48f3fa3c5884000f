import { afterAll, beforeAll, describe } from "vitest";
import { requireOrSkip } from "../servers/requirements.ts";
import { type FtpServer, startVsftpd } from "../servers/vsftpd.ts";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

describe.runIf(requireOrSkip("vsftpd", "root")).each(["explicit", "implicit"] as const)("ftp, %s TLS", (tls) => {
  let server: FtpServer;

  beforeAll(async () => {
    server = await startVsftpd({ tls });
  });
  afterAll(() => server.stop());

  emptyMachineSuite({
    name: `ftp over ${tls} TLS`,
    place: async () => {
      const { host, port, user, password, caFile } = server;
      const path = server.newFolder();
      return {
        storage: { type: "ftp", host, port, user, password, path, tls, ca_file: caFile },
        secrets: [password],
      };
    },
  });
});
