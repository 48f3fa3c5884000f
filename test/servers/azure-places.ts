import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { StorageServer } from "../suites/network-suite.ts";
import { startAzurite } from "./azurite.ts";

/** An Azurite as tests see it that work over any network storage. Ask `requireOrSkip("azurite")` first. */
export async function startAzurePlaces(): Promise<StorageServer> {
  const dir = mkdtempSync(join(tmpdir(), "backupctl-azurite-"));
  let server = await startAzurite(dir);
  const { account, accountKey, port } = server;
  return {
    port,
    secrets: [accountKey],
    newPlace: async () => {
      const container = `place-${randomUUID()}`;
      return (address) => ({
        type: "azure",
        container,
        account,
        account_key: accountKey,
        endpoint: `http://${address.host}:${address.port}/${account}`,
      });
    },
    kill: () => server.stop(),
    start: async () => {
      server = await startAzurite(dir, { port });
    },
    stop: async () => {
      await server.stop();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}
