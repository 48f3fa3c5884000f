import { describe } from "vitest";
import { requireOrSkip } from "../../servers/requirements.ts";
import { startS3Places } from "../../servers/s3-places.ts";
import { secretsSuite } from "../../suites/secrets-suite.ts";

describe.runIf(requireOrSkip("radosgw"))("s3", () => {
  secretsSuite({ name: "s3", start: startS3Places });
});
