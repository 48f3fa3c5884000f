import { readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { createOne, OTHER_REPOSITORY, objectsIn, openSite, swapRepository } from "../helpers/open-site.ts";

describe("hold", () => {
  it("keeps a backup from deletion until it is lifted", async () => {
    const site = await openSite();
    const backup = await createOne(site);

    const held = await site.operations.hold(backup.id, "audit 2026");
    const plan = await site.operations.planDelete({
      reference: backup.id,
      withDescendants: false,
      force: false,
      lockWaitMs: 0,
    });
    const lifted = await site.operations.unhold(backup.id);

    expect(held.hold).toBe("audit 2026");
    expect(plan.protections.map(({ kind }) => kind)).toContain("hold");
    expect(lifted.hold).toBeUndefined();
    const names = readdirSync(await site.backupDirectory()).filter((name) => name.startsWith("notes-"));
    expect(names.map((name) => name.slice(0, 7)).sort()).toEqual(["notes-0", "notes-1"]);
  });

  it("says which reason another one takes the place of", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    await site.operations.hold(backup.id, "audit 2026");
    await site.operations.hold(backup.id, "audit 2026");
    expect(site.warnings).toEqual([]);

    await site.operations.hold(backup.id, "a test");

    expect(site.warnings).toEqual([
      expect.stringMatching(/was on hold for .+ already, since .+: "audit 2026"; the new/),
    ]);
  });

  it("keeps the other notes as they are", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    await site.operations.verify({ reference: backup.id, all: false, deep: false, quick: true, components: [] });

    await site.operations.hold(backup.id, "audit");

    expect((await site.operations.show(backup.id)).notes).toMatchObject({
      hold: { reason: "audit", by: "tester@test-host" },
      verified: { passed: true },
    });
  });

  it("stays, and is written again, where somebody removed its notes from storage", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    await site.operations.hold(backup.id, "audit");
    const directory = await site.backupDirectory();
    for (const name of readdirSync(directory)) if (name.startsWith("notes-")) rmSync(join(directory, name));

    await site.operations.verify({ reference: backup.id, all: false, deep: false, quick: true, components: [] });
    await site.operations.rebuildCatalog();

    expect((await site.operations.show(backup.id)).notes).toMatchObject({
      hold: { reason: "audit" },
      verified: { passed: true },
    });
  });

  it("is refused, as create is, while the primary storage holds another repository", async () => {
    const site = await openSite({ replica: true });
    const backup = await createOne(site);
    await site.operations.hold(backup.id, "audit");
    const before = objectsIn(site);
    swapRepository(site.repositoryDirectory);
    const swapped = await site.reopen();
    const mismatch = { code: "REPOSITORY_MISMATCH", message: expect.stringContaining(OTHER_REPOSITORY) };

    await expect(swapped.hold("latest", "another")).rejects.toMatchObject(mismatch);
    await expect(swapped.unhold("latest")).rejects.toMatchObject(mismatch);

    expect(site.warnings).toEqual([]);
    rmSync(site.repositoryDirectory, { recursive: true });
    renameSync(`${site.repositoryDirectory}.unplugged`, site.repositoryDirectory);
    expect(objectsIn(site)).toEqual(before);
    expect((await (await site.reopen()).show("latest")).notes.hold).toMatchObject({ reason: "audit" });
  });

  it("holds nothing of another repository under the name of latest, where no storage is of the earlier one", async () => {
    const site = await openSite();
    await createOne(site);
    swapRepository(site.repositoryDirectory);

    await expect((await site.reopen()).hold("latest", "x")).rejects.toMatchObject({ code: "BACKUP_NOT_FOUND" });
  });

  it("works without the key, but only the key lifts it", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    writeFileSync(join(site.directory, "main.key"), "ab".repeat(32));
    const keyless = await site.reopen();

    await keyless.hold(backup.id, "evidence");

    await expect(keyless.unhold(backup.id)).rejects.toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND" });
    // With the key too: a note that can't be proven keeps all the same.
    await site.operations.rebuildCatalog();
    expect((await site.operations.show(backup.id)).hold).toBe("evidence");
  });

  it("is what notes of a later version are: the backup is seen, restored, verified and kept", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    writeFileSync(join(await site.backupDirectory(), "notes-0-00000000.json"), '{"version":2,"hold":null}');

    const rebuilt = await site.operations.rebuildCatalog();
    const verified = await site.operations.verify({
      reference: backup.id,
      all: false,
      deep: false,
      quick: false,
      components: [],
    });
    const plan = await site.operations.planDelete({
      reference: backup.id,
      withDescendants: false,
      force: false,
      lockWaitMs: 0,
    });

    expect(rebuilt).toMatchObject({ damaged: [] });
    expect((await site.operations.show("latest")).hold).toMatch(/^unknown: notes-0-00000000.json .* version 2/);
    expect(verified.passed).toBe(true);
    expect(site.warnings.join()).toContain(`backup ${backup.id} counts as on hold: unknown: notes-0-00000000.json`);
    expect(plan.protections.map(({ kind }) => kind)).toContain("hold");
    await expect(site.operations.hold(backup.id, "audit")).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
    await expect(site.operations.unhold(backup.id)).rejects.toMatchObject({ code: "UNSUPPORTED_FORMAT" });
  });

  it.each([
    ["without a reason", "hold", " ", "USAGE"],
    ["of one that is not held", "unhold", "", "USAGE"],
  ] as const)("is refused %s", async (_, action, reason, code) => {
    const site = await openSite();
    const backup = await createOne(site);
    const attempt = action === "hold" ? site.operations.hold(backup.id, reason) : site.operations.unhold(backup.id);

    await expect(attempt).rejects.toMatchObject({ code });
  });

  it("is lifted by whoever learns of it from the storage only", async () => {
    const site = await openSite();
    const backup = await createOne(site);
    const catalog = await site.context.catalog("write");
    await site.operations.hold(backup.id, "audit");
    catalog.setNotes(backup.id, {});

    await site.operations.unhold(backup.id);
    await site.operations.rebuildCatalog();

    expect((await site.operations.show(backup.id)).notes.hold).toBeUndefined();
  });

  it("that was put while a storage was away says so, and that replicate brings it there, as it does", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site);
    const replica = join(site.directory, "replica");
    const holds = () =>
      readdirSync(replica, { recursive: true, encoding: "utf8" }).filter((name) => name.includes("notes-"));
    renameSync(replica, `${replica}-away`);

    await (await site.reopen()).hold(id, "audit");
    renameSync(`${replica}-away`, replica);

    expect(site.warnings.join()).toContain(`the hold of backup ${id} does not lie in storage "second" yet`);
    expect(site.warnings.join()).toContain("`backupctl replicate` brings it there");
    expect(holds()).toEqual([]);
    await (await site.reopen()).replicate({ to: [], dryRun: false, lockWaitMs: 0 });
    expect(holds()).toHaveLength(1);
  });

  it("that was lifted while a storage was away says so, and that it is to be lifted once more, which does it", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { retentionDays: 0 });
    await createOne(site, { mode: "full" });
    await site.operations.hold(id, "audit");
    const replica = join(site.directory, "replica");
    renameSync(replica, `${replica}-away`);

    await (await site.reopen()).unhold(id);
    renameSync(`${replica}-away`, replica);

    expect(site.warnings.join()).toContain(`storage "second" does not know yet that backup ${id} is no longer on hold`);
    const operations = await site.reopen();
    await operations.unhold(id);
    const request = { reference: id, withDescendants: false, force: false, lockWaitMs: 0 };
    expect((await operations.delete(request, await operations.planDelete(request))).deleted).toEqual([id]);
  });

  it("that was lifted while a storage was away keeps the backup when that is back, until it is lifted there too", async () => {
    const site = await openSite({ replica: true });
    const { id } = await createOne(site, { retentionDays: 0 });
    await createOne(site, { mode: "full" });
    await site.operations.hold(id, "audit");
    await site.operations.unhold(id);
    const replica = join(site.directory, "replica");
    for (const name of readdirSync(replica, { recursive: true, encoding: "utf8" }))
      if (/notes-1[^/]*$/.test(name)) rmSync(join(replica, name));
    await site.operations.rebuildCatalog();
    const request = { reference: id, withDescendants: false, force: false, lockWaitMs: 0 };

    const remove = async () => site.operations.delete(request, await site.operations.planDelete(request));

    await expect(remove()).rejects.toThrow("on hold meanwhile: audit");
    await site.operations.unhold(id);
    expect((await remove()).deleted).toEqual([id]);
  });
});
