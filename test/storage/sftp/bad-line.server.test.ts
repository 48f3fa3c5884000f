import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startSftpPlaces } from "../../servers/sftp-places.ts";
import { networkProgramSuite } from "../../suites/network-program-suite.ts";

describe.runIf(requireOrSkip("sshd", "root"))("sftp", () => {
  networkProgramSuite({ name: "sftp", start: startSftpPlaces });
});
