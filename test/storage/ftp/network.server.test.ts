import { describe } from "vitest";
import { startFtpPlaces } from "../../servers/ftp-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { networkSuite } from "../../suites/network-suite.ts";

describe.runIf(requireOrSkip("vsftpd", "root"))("ftp", () => {
  networkSuite({ name: "ftp", start: startFtpPlaces });
});
