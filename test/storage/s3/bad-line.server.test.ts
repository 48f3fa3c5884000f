import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startS3Places } from "../../servers/s3-places.ts";
import { networkProgramSuite } from "../../suites/network-program-suite.ts";

describe.runIf(requireOrSkip("radosgw"))("s3", () => {
  networkProgramSuite({ name: "s3", start: startS3Places });
});
