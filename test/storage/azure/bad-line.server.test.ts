import { describe } from "vitest";
import { startAzurePlaces } from "../../servers/azure-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { networkProgramSuite } from "../../suites/network-program-suite.ts";

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  networkProgramSuite({ name: "azure", start: startAzurePlaces });
});
