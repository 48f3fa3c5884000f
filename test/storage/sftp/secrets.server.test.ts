import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startSftpPlaces } from "../../servers/sftp-places.ts";
import { secretsSuite } from "../../suites/secrets-suite.ts";

describe.runIf(requireOrSkip("sshd", "root"))("sftp", () => {
  secretsSuite({ name: "sftp", start: startSftpPlaces });
});
