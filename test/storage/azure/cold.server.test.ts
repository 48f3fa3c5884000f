import { join } from "node:path";
import { ContainerClient, StorageSharedKeyCredential } from "@azure/storage-blob";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { suiteTempDir, tempDir } from "../../helpers/temp-dir.ts";
import { agedSite } from "../../operations/cleanup/aged-site.ts";
import { NOTHING_ASKED, restore } from "../../operations/restore/tools.ts";
import { type Azurite, startAzurite } from "../../servers/azurite.ts";
import { requireOrSkip } from "../../servers/requirements.ts";

const ONCE = { force: false, lockWaitMs: 0 };

describe.runIf(requireOrSkip("azurite"))("an archive of the tier Archive", () => {
  let server: Azurite;
  const directory = suiteTempDir();
  beforeAll(async () => {
    server = await startAzurite(directory);
  });
  afterAll(() => server?.stop());

  it("gets what was verified, and gives it back when it was asked for", async () => {
    const { account, accountKey: account_key, endpoint } = server;
    const vault = {
      type: "azure",
      role: "archive",
      container: "vault",
      tier: "Archive",
      account,
      account_key,
      endpoint,
    };
    const { site, made } = await agedSite({ remotes: { vault } });
    const month = await made(60, { retentionClass: "monthly", retentionDays: 14 });
    await made(1);
    const request = { ...NOTHING_ASKED, reference: month, to: join(tempDir(), "restored") };
    const container = new ContainerClient(`${endpoint}/vault`, new StorageSharedKeyCredential(account, account_key));
    const tiers = async () => {
      const found: string[] = [];
      for await (const { name, properties } of container.listBlobsFlat())
        if (properties.accessTierInferred !== true) found.push(`${properties.accessTier} ${name.split("/").at(-1)}`);
      return found;
    };

    const cleaned = await site.operations.cleanup(ONCE);
    expect(cleaned).toMatchObject({ archived: [{ backupId: month }], frozen: [{ backupId: month, to: "vault" }] });
    expect(await tiers()).toEqual(["Archive www.tree.zst.enc.00000000"]);
    expect((await (await site.reopen()).planRestore(request)).frozen).toMatchObject([{ packs: 1, asked: 0 }]);

    await expect(restore(await site.reopen(), request)).rejects.toMatchObject({ code: "OBJECT_COLD", exitCode: 3 });
    // This server takes no time to thaw. What is thawed stays so for thaw_days.
    expect(await tiers()).toEqual(["Hot www.tree.zst.enc.00000000"]);
    expect((await site.operations.cleanup(ONCE)).frozen).toEqual([]);
    const { sources } = await restore(await site.reopen(), request);
    expect(sources).toMatchObject([{ status: "completed" }]);
  });
});
