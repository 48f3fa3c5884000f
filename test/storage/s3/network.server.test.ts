import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startS3Places } from "../../servers/s3-places.ts";
import { networkSuite } from "../../suites/network-suite.ts";

describe.runIf(requireOrSkip("radosgw"))("s3", () => {
  networkSuite({ name: "s3", start: startS3Places });
});
