import { randomUUID } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  AccountSASPermissions,
  AccountSASResourceTypes,
  AccountSASServices,
  generateAccountSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import type { StorageServer } from "../suites/network-suite.ts";
import { startAzurite } from "./azurite.ts";

/** An Azurite as tests see it that work over any network storage. Ask `requireOrSkip("azurite")` first. */
export async function startAzurePlaces(login: "key" | "sas" = "key"): Promise<StorageServer> {
  const dir = mkdtempSync(join(tmpdir(), "backupctl-azurite-"));
  let server = await startAzurite(dir);
  const { account, accountKey, port } = server;
  const sas = sasOf(account, accountKey);
  const signature = new URLSearchParams(sas).get("sig") ?? "";
  return {
    port,
    secrets: login === "key" ? [accountKey] : [signature, encodeURIComponent(signature)],
    newPlace: async () => {
      const container = `place-${randomUUID()}`;
      return (address) => ({
        type: "azure",
        container,
        account,
        ...(login === "key" ? { account_key: accountKey } : { sas }),
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

/** That may do everything, for a day. */
function sasOf(account: string, accountKey: string): string {
  return generateAccountSASQueryParameters(
    {
      permissions: AccountSASPermissions.parse("rwdlac"),
      services: AccountSASServices.parse("b").toString(),
      resourceTypes: AccountSASResourceTypes.parse("sco").toString(),
      expiresOn: new Date(Date.now() + 86_400_000),
    },
    new StorageSharedKeyCredential(account, accountKey),
  ).toString();
}
