import { describe } from "vitest";
import { startFtpPlaces } from "../../servers/ftp-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { secretsSuite } from "../../suites/secrets-suite.ts";

describe.runIf(requireOrSkip("vsftpd", "root"))("ftp", () => {
  secretsSuite({ name: "ftp", start: startFtpPlaces });
});
