import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { flipped } from "../helpers/bytes.ts";
import { suiteTempDir } from "../helpers/temp-dir.ts";
import { type FixtureBackup, type FixtureSite, openFixtureSite, type Restored } from "./fixture-site.ts";

const NAME = "SHA256SUMS";

/** Nothing but SHA256SUMS proves the roots of these: one bit of it must not cost the packs, all of which are sound. */
describe.each(["proven-none", "open-zstd"] as const)("in %s", (name) => {
  const directory = suiteTempDir();
  let site: FixtureSite;
  let backup: FixtureBackup;
  let sound: Restored;
  beforeAll(async () => {
    site = await openFixtureSite(name, directory);
    const [newest] = site.backups.slice(-1);
    if (newest === undefined) throw new Error("there are no backups");
    backup = newest;
    sound = await restoreWith(() => undefined);
  });
  afterAll(() => expect(sound).toMatchObject({ error: undefined, warnings: [] }));

  const bytesOf = (object: string): Buffer => site.objects.get(`${backup.directory}/${object}`) ?? Buffer.alloc(0);
  const store = (object: string, bytes: Buffer | undefined): void => site.store(`${backup.directory}/${object}`, bytes);
  const flipLine = (object: string): void =>
    store(NAME, flipped(bytesOf(NAME), (bytesOf(NAME).indexOf(object) - 66) * 8));
  /** A source's root, which must be there for anything of it to come back. */
  const rootOf = (source: string): string => {
    const roots = [...site.objects.keys()].filter((key) => key.startsWith(`${backup.directory}/${source}.`));
    return (roots.find((key) => key.includes(".root.")) ?? "").slice(backup.directory.length + 1);
  };

  function restoreWith(damage: () => void, skipDamaged = true): Promise<Restored> {
    return site.withDamage((operations) => {
      damage();
      return site.restore(operations, backup, { skipDamaged });
    });
  }

  it.each([
    ["with a flipped bit", () => flipLine(rootOf("notes"))],
    ["that is gone", () => store(NAME, undefined)],
    ["that is empty", () => store(NAME, Buffer.alloc(0))],
  ])("SHA256SUMS %s is named, and with --skip-damaged every source comes back", async (_, damage) => {
    const refused = await restoreWith(damage, false);
    const rest = await restoreWith(damage);

    expect(refused).toMatchObject({ isUntouched: true, error: { code: "BACKUP_CORRUPTED", exitCode: 4 } });
    expect(String(refused.error)).toContain(NAME);
    expect(refused.error).toMatchObject({ hint: expect.stringContaining("--skip-damaged") });
    expect(rest).toMatchObject({ error: undefined, contents: sound.contents });
    expect(rest.warnings).toEqual([expect.stringMatching(`${backup.directory}/${NAME} .*which proves them`)]);
  });

  it("what nothing proves any longer, since a pack is damaged too, comes back only where no key proves anything", async () => {
    const [damaged = "", ...others] = backup.restorable;
    const rest = await restoreWith(() => {
      store(NAME, undefined);
      store(rootOf(damaged), flipped(bytesOf(rootOf(damaged)), 801));
    });

    if (name === "proven-none") {
      expect(rest).toMatchObject({ isUntouched: true, error: { code: "BACKUP_CORRUPTED", exitCode: 4 } });
      expect(String(rest.error)).toContain(NAME);
      expect(rest.error).toMatchObject({ hint: expect.not.stringContaining("--skip-damaged") });
      return;
    }
    expect(rest.error).toBeUndefined();
    expect(rest.contents[damaged]).toBe("");
    for (const source of others) expect(rest.contents[source]).toBe(sound.contents[source]);
    expect(rest.warnings.join("\n")).toMatch(`${backup.directory}/${NAME} is missing; nothing but their own checksums`);
    expect(rest.warnings.join("\n")).toContain(rootOf(damaged));
  });

  it("a pack that is gone with SHA256SUMS takes no other source along where no key proves anything", async () => {
    const [damaged = "", ...others] = backup.restorable;
    const rest = await restoreWith(() => {
      store(NAME, undefined);
      store(rootOf(damaged), undefined);
    });

    if (name === "proven-none") return expect(rest).toMatchObject({ isUntouched: true, error: { exitCode: 4 } });
    for (const source of others) expect(rest.contents[source]).toBe(sound.contents[source]);
  });
});
