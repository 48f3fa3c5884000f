import { describe } from "vitest";
import { startFtpPlaces } from "../../servers/ftp-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { networkProgramSuite } from "../../suites/network-program-suite.ts";

describe.runIf(requireOrSkip("vsftpd", "root"))("ftp", () => {
  networkProgramSuite({ name: "ftp", start: startFtpPlaces });
});
