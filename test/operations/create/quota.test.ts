import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import { createOne, objectsIn, openSite } from "../../helpers/open-site.ts";

const QUOTA = "quota: 4MB";

it("a quota that leaves too little is told as one, and not as a disk that is full", async () => {
  const site = await openSite({ storageOptions: QUOTA });
  await createOne(site);

  await expect(site.create()).rejects.toMatchObject({
    code: "INSUFFICIENT_STORAGE",
    message: expect.stringMatching(
      /^storage "local" has .* left of its quota of 3\.8 MiB, and the last full backup took/,
    ),
    hint: expect.stringMatching(/^Raise the quota of this storage in the config, or delete backups/),
  });
});

it("so is a replica's, which replicate meets, too", async () => {
  const remotes = { offsite: { type: "local", role: "replica", path: "", quota: "1MB" } };
  const site = await openSite();
  remotes.offsite.path = join(site.directory, "offsite");
  const replicated = await openSite({ remotes });

  const { storages, warnings } = await replicated.create();

  expect(storages.map(({ state }) => state)).toEqual(["complete", "pending"]);
  expect(warnings.at(-1)).toMatch(
    /^storage "offsite" lacks this backup .*left of its quota of .*Raise the quota.* Then run/,
  );
});

it("over a quota a deletion makes room, which is what its hint says", async () => {
  const site = await openSite({ storageOptions: QUOTA });
  const { id } = await createOne(site);
  writeFileSync(join(site.repositoryDirectory, "somebody's"), Buffer.alloc(2_000_000));
  writeFileSync(join(site.repositoryDirectory, "others"), Buffer.alloc(2_000_000));
  const request = { reference: id, withDescendants: false, force: true, reason: "test", lockWaitMs: 0 };

  await expect(site.create()).rejects.toMatchObject({ hint: expect.stringContaining("backupctl delete ID") });
  await site.operations.delete(request, await site.operations.planDelete(request));

  expect(objectsIn(site)).toEqual([]);
});
