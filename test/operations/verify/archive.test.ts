import { expect, it } from "vitest";
import { createOne, openSite } from "../../helpers/open-site.ts";

const ALL_IN_VAULT = { all: true, deep: false, quick: true, components: [], storage: "vault" };

it("all of an archive is what lies there, and an archive in which nothing lies says so", async () => {
  const site = await openSite({ storages: { vault: "archive" } });
  const { id } = await createOne(site, { mode: "full" });
  await createOne(site, { mode: "full" });

  await expect(site.operations.verify(ALL_IN_VAULT)).rejects.toMatchObject({
    code: "BACKUP_NOT_FOUND",
    message: 'archive "vault" holds no backup yet',
    hint: expect.stringContaining("backupctl cleanup"),
  });
  await site.operations.replicate({ to: ["vault"], reference: id, dryRun: false, lockWaitMs: 0 });

  expect(await site.operations.verify(ALL_IN_VAULT)).toMatchObject({
    passed: true,
    backups: [{ backupId: id, storage: "vault", passed: true }],
  });
});
