import { describe, expect, it } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import { objectsIn, openSite, withFaults } from "../helpers/open-site.ts";
import { NO_CHOICES } from "../helpers/site.ts";

const reset = new BackupctlError("STORAGE_FAILED", "connection reset", { retryable: true });

describe("a storage that fails now and then", () => {
  it("gets a whole backup, and each outage is told once", async () => {
    const site = await openSite({ storageOptions: "retry_for: 1m" });
    const operations = await withFaults(site, (storage) => {
      for (const operation of ["put", "get", "stat", "list", "remove"] as const) {
        storage.onCall(operation, 1).fail(reset).onCall(operation, 4).failAfterVisible(reset);
      }
    });

    await operations.create(NO_CHOICES);
    const verified = await operations.verify({
      ...{ reference: "latest", all: false, deep: false, quick: false, components: [] },
    });

    expect(verified.backups).toMatchObject([{ passed: true }]);
    expect(site.warnings).toContain("connection reset; trying again for up to 60 seconds");
  });

  it("ends the backup where it is not to be tried again", async () => {
    const site = await openSite({ storageOptions: "retry_for: 0s" });
    const operations = await withFaults(site, (storage) => storage.onCall("put", 1).fail(reset));

    await expect(operations.create(NO_CHOICES)).rejects.toMatchObject({
      message: reset.message,
      hint: expect.stringContaining("backupctl storage check local"),
    });
  });
});

it("a backup that would be over the quota of its storage fails, and nothing of it is left", async () => {
  const site = await openSite({ storageOptions: "quota: 2MB" });

  await expect(site.create()).rejects.toMatchObject({
    code: "INSUFFICIENT_STORAGE",
    message: expect.stringContaining('storage "local" would be over its quota of 1.9 MiB'),
  });

  expect(objectsIn(site)).toEqual([]);
});
