import {
  ContainerClient,
  ContainerSASPermissions,
  generateBlobSASQueryParameters,
  StorageSharedKeyCredential,
} from "@azure/storage-blob";
import { afterAll, beforeAll, describe } from "vitest";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type Azurite, startAzurite } from "../servers/azurite.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { emptyMachineSuite } from "../suites/empty-machine-suite.ts";

describe.runIf(requireOrSkip("azurite"))("azure", () => {
  const directory = suiteTempDir();
  let azurite: Azurite;

  beforeAll(async () => {
    azurite = await startAzurite(directory);
  });
  afterAll(() => azurite.stop());

  const at = (container: string) => ({ type: "azure", container, endpoint: azurite.endpoint });

  emptyMachineSuite({
    name: "azure with the account's key",
    place: async () => ({
      storage: { ...at("by-key"), account: azurite.account, account_key: azurite.accountKey },
      secrets: [azurite.accountKey],
    }),
  });

  emptyMachineSuite({
    name: "azure with a shared access signature",
    place: async () => {
      const { account, accountKey } = azurite;
      const credential = new StorageSharedKeyCredential(account, accountKey);
      const expiresOn = new Date(Date.now() + 3_600_000);
      const permissions = ContainerSASPermissions.parse("rcwdl");
      const containerName = "by-sas";
      await new ContainerClient(`${azurite.endpoint}/${containerName}`, credential).create();
      const sas = generateBlobSASQueryParameters({ containerName, permissions, expiresOn }, credential).toString();
      const signature = new URLSearchParams(sas).get("sig") ?? sas;
      return {
        storage: { ...at(containerName), account, sas },
        secrets: [signature, encodeURIComponent(signature)],
      };
    },
  });
});
