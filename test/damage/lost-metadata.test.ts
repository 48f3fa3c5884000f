import * as fs from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { tempDir } from "../helpers/temp-dir.ts";
import { type FixtureSite, openFixtureSite } from "./fixture-site.ts";

/** Looks at the newest backup, which the catalog can't know, being made anew with its metadata.json gone. */
async function lookAtLost(site: FixtureSite, directory: string, change: (at: string) => void = () => undefined) {
  const [backup] = site.backups.slice(-1);
  if (backup === undefined) throw new Error("there are no backups");
  const look = { reference: backup.id.slice(0, 6), all: false, deep: false, quick: false, components: [] };
  const found = await site.withDamage(async (operations) => {
    fs.rmSync(path.join(directory, "state"), { recursive: true });
    site.store(`${backup.directory}/metadata.json`, undefined);
    change(backup.directory);
    const verified = await operations.verify(look).catch((error: unknown) => error);
    return { verified, restored: await site.restore(operations, backup) };
  });
  return { ...found, missing: `${backup.directory}/metadata.json is missing in storage "disk"` };
}

it("a backup without metadata.json that no catalog knows is damaged, and not unknown", async () => {
  const directory = tempDir();
  const site = await openFixtureSite("sealed-zstd", directory);

  const { verified, restored, missing } = await lookAtLost(site, directory);

  const error = { code: "BACKUP_CORRUPTED", exitCode: 4, message: missing };
  expect(verified).toMatchObject(error);
  expect(restored).toMatchObject({ isUntouched: true, error });
});

it("one that is being deleted is unknown", async () => {
  const directory = tempDir();
  const site = await openFixtureSite("sealed-zstd", directory);

  const { verified, restored } = await lookAtLost(site, directory, (at) =>
    site.store(`${at}/deleted.json`, Buffer.alloc(0)),
  );

  expect(verified).toMatchObject({ code: "BACKUP_NOT_FOUND" });
  expect(restored).toMatchObject({ isUntouched: true, error: { code: "BACKUP_NOT_FOUND" } });
});
