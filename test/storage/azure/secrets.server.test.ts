import { describe } from "vitest";
import { startAzurePlaces } from "../../servers/azure-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { secretsSuite } from "../../suites/secrets-suite.ts";

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  secretsSuite({ name: "azure", start: () => startAzurePlaces("key") });
  // In the address of every request.
  secretsSuite({ name: "azure with a SAS", start: () => startAzurePlaces("sas") });
});
