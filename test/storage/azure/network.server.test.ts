import { describe } from "vitest";
import { startAzurePlaces } from "../../servers/azure-places.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { networkSuite } from "../../suites/network-suite.ts";

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  // Azurite writes its list of what there is every five seconds.
  networkSuite({ name: "azure", durable: false, start: startAzurePlaces });
});
