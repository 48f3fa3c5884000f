import { randomUUID } from "node:crypto";
import { describe } from "vitest";
import { suiteTempDir } from "../../helpers/temp-dir.ts";
import { startAzurite } from "../../servers/azurite.ts";
import { requireOrSkip } from "../../servers/requirements.ts";
import { networkSuite } from "../../suites/network-suite.ts";

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  const dir = suiteTempDir();

  networkSuite({
    name: "azure",
    // Azurite writes its list of what there is every five seconds.
    durable: false,
    start: async () => {
      let azurite = await startAzurite(dir);
      const { account, accountKey, port } = azurite;
      return {
        port,
        secrets: [accountKey],
        newPlace: async () => {
          const container = `c-${randomUUID()}`;
          return (address) => ({
            type: "azure",
            account,
            account_key: accountKey,
            container,
            endpoint: `http://${address.host}:${address.port}/${account}`,
          });
        },
        kill: () => azurite.stop(),
        start: async () => {
          azurite = await startAzurite(dir, { port });
        },
        stop: () => azurite.stop(),
      };
    },
  });
});
