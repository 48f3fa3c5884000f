import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startSftpPlaces } from "../../servers/sftp-places.ts";
import { networkSuite } from "../../suites/network-suite.ts";

describe.runIf(requireOrSkip("sshd", "root"))("sftp", () => {
  networkSuite({ name: "sftp", start: startSftpPlaces });
});
