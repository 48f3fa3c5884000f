import { cpSync, readdirSync, readFileSync, rmSync, truncateSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { expect, it } from "vitest";
import { encodeNotes } from "../../../src/format/notes.ts";
import { statePaths } from "../../../src/operations/session.ts";
import { createOne, type OpenSite, openSite } from "../../helpers/open-site.ts";
import { NO_CHOICES, openSession } from "../../helpers/site.ts";
import { NOTHING_ASKED } from "../restore/tools.ts";

/** Whoever can write to the storage puts objects there that no backup has so many of. */

const PLANTED = 1_000;
const PAGE = { limit: 20, offset: 0 };
/** The program and a few backups need less than half of it. */
const MOST_MEMORY_BYTES = 300 * 1024 * 1024;

function plant(
  directory: string,
  family: "keys" | "notes",
  content: (n: number) => string | undefined,
  { count = PLANTED, writer = "0123abcd" } = {},
): void {
  for (let n = 10; n < 10 + count; n++) {
    const file = join(directory, `${family}-${n}-${writer}.json`);
    const text = content(n);
    writeFileSync(file, text ?? "");
    // A hole takes no disk: each is as large as one may be.
    if (text === undefined) truncateSync(file, 2 ** 20);
  }
}

async function rebuiltWithoutCatalog(site: OpenSite) {
  const { catalog } = await statePaths(site.session);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${catalog}${suffix}`, { force: true });
  const operations = await site.reopen();
  return { operations, ...(await operations.rebuildCatalog()) };
}

it("thousands of large keys objects are named, and neither fill the memory nor are all read", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  plant(directory, "keys", () => undefined);
  const before = process.memoryUsage().rss;
  const started = performance.now();

  const { operations, damaged } = await rebuiltWithoutCatalog(site);

  expect(performance.now() - started).toBeLessThan(20_000);
  expect(process.memoryUsage().rss - before).toBeLessThan(MOST_MEMORY_BYTES);
  expect(damaged.join("\n")).toMatch(/has more keys objects than any backup: the oldest \d+ keys objects are not read/);
  await expect(operations.show(id)).rejects.toMatchObject({ code: "BACKUP_CORRUPTED" });
});

it("so are notes, which keep the backup as long as nobody knows what they say", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  await site.operations.hold(id, "audit");
  plant(await site.backupDirectory(), "notes", () => undefined);
  const before = process.memoryUsage().rss;

  const { operations } = await rebuiltWithoutCatalog(site);
  const verified = await operations.verify({ reference: id, all: false, deep: false, quick: true, components: [] });

  expect(process.memoryUsage().rss - before).toBeLessThan(MOST_MEMORY_BYTES);
  expect(verified.passed).toBe(false);
  expect(verified.backups[0]?.issues.join("\n")).toMatch(/has more notes objects than any backup/);
  const request = { reference: id, withDescendants: false, force: false, reason: undefined, lockWaitMs: 0 };
  await expect(operations.delete(request, await operations.planDelete(request))).rejects.toMatchObject({
    code: "RETENTION_POLICY_VIOLATION",
    message: expect.stringContaining("on hold"),
  });
});

it("many small notes below a proven one change nothing", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  const small = (n: number) => JSON.stringify({ version: 1, backup_id: id, n, mac: `sha256:${"0".repeat(64)}` });
  plant(directory, "notes", small, { count: 200 });
  await site.operations.hold(id, "audit");
  await site.operations.unhold(id);
  plant(directory, "notes", small, { count: 200, writer: "ffffffff" });

  const { operations } = await rebuiltWithoutCatalog(site);

  expect((await operations.list(PAGE)).backups).toMatchObject([{ id, hold: undefined }]);
});

it("of a backup without a key, notes with the highest number of all are told, and how that is ended", async () => {
  const site = await openSite({ keyless: true });
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  const { name, bytes } = encodeNotes({ backupId: id, n: 999_999_999, notes: {}, macKey: undefined });
  writeFileSync(join(directory, name), bytes);

  await expect(site.operations.hold(id, "audit")).rejects.toMatchObject({
    code: "BACKUP_CORRUPTED",
    hint: expect.stringContaining("Remove them from the storage by hand"),
  });
  rmSync(join(directory, name));
  expect((await site.operations.hold(id, "audit")).hold).toBe("audit");
});

it("planted backups with a salt each cost a bounded number of derivations, and the real one comes back", async () => {
  let derivations = 0;
  const site = await openSite();
  const { adapters } = site.session;
  const { passphrase } = adapters.keys;
  if (passphrase === undefined) throw new Error("no passphrases");
  const counting = {
    ...passphrase,
    open: async (...asked: Parameters<typeof passphrase.open>) => {
      const key = await passphrase.open(...asked);
      const secretOf = (salt: unknown): Buffer => Buffer.alloc(32, String(salt));
      const seen = new Set<unknown>();
      const derive = async (salt: unknown): Promise<Buffer> => {
        if (!seen.has(salt)) derivations++;
        seen.add(salt);
        return secretOf(salt);
      };
      const salt = key.salt?.toString("base64") ?? "";
      return {
        ...key,
        seal: async () => ({ secret: await derive(salt), parameters: { salt } }),
        open: (parameters: Readonly<Record<string, unknown>>) => derive(parameters.salt),
      };
    },
  };
  const config = join(site.directory, "backup.config.yaml");
  const text = readFileSync(config, "utf8");
  writeFileSync(config, text.replace(/main: \{.*?\}/, "main: {provider: passphrase, passphrase: correct horse}"));
  const session = await openSession(config, {}, site.warnings);
  const changes = { ...session, adapters: { ...adapters, keys: { ...adapters.keys, passphrase: counting } } };
  const operations = await site.reopen(changes);
  const made = await operations.create(NO_CHOICES);
  const id = made.backup?.id ?? "";
  const { metadata } = await operations.show(id);
  const directory = join(site.repositoryDirectory, metadata?.storage_path ?? "");
  for (let i = 0; i < 200; i++) forge(directory, metadata?.storage_path ?? "", i);
  derivations = 0;

  const { catalog } = await statePaths(session);
  for (const suffix of ["", "-wal", "-shm"]) rmSync(`${catalog}${suffix}`, { force: true });
  const rebuilt = await site.reopen(changes);
  const { damaged } = await rebuilt.rebuildCatalog();

  expect(derivations).toBeLessThan(200);
  expect(damaged.join("\n")).toMatch(/passphrase-wrapped keys were not tried/);
  expect(await rebuilt.show(id)).toMatchObject({ trusted: true });
  const to = join(site.directory, "to");
  expect((await rebuilt.planRestore({ ...NOTHING_ASKED, reference: "latest", to })).backup.id).toBe(id);
}, 60_000);

/** A copy of a backup under another id, whose wrap wants another salt. */
function forge(directory: string, storagePath: string, i: number): void {
  const prefix = i.toString(16).padStart(8, "0");
  const id = `${prefix}-0000-4000-8000-000000000000`;
  const place = join(dirname(directory), `full-00-00-00-${prefix}`);
  cpSync(directory, place, { recursive: true });
  const path = join(dirname(storagePath), `full-00-00-00-${prefix}`);
  const metadata = JSON.parse(readFileSync(join(place, "metadata.json"), "utf8"));
  const timestamp = `${metadata.timestamp.slice(0, 10)}T00:00:00.000Z`;
  const forged = { ...metadata, id, timestamp, storage_path: path, lineage: [{ id, path }] };
  writeFileSync(join(place, "metadata.json"), JSON.stringify(forged));
  const keys = readdirSync(place).find((name) => name.startsWith("keys-")) ?? "";
  const content = JSON.parse(readFileSync(join(place, keys), "utf8"));
  const wraps = content.wraps.map((wrap: object) => ({ ...wrap, parameters: { salt: `salt ${i}` } }));
  writeFileSync(join(place, keys), JSON.stringify({ ...content, backup_id: id, wraps }));
}

it.each([
  { what: "nothing readable", text: () => "", held: false },
  {
    what: "a hold that no key proves",
    text: (id: string) =>
      JSON.stringify({
        ...{
          version: 1,
          backup_id: id,
          n: 999_999_999,
          hold: { reason: "planted", at: "2026-01-11T02:00:00Z", by: "x" },
        },
        mac: `hmac-sha256:${"0".repeat(64)}`,
      }),
    held: true,
  },
])("the last number of notes with $what in it keeps no others from being written", async ({ text, held }) => {
  const site = await openSite();
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  const planted = "notes-999999999-aaaaaaaa.json";
  await site.operations.hold(id, "audit");
  writeFileSync(join(directory, planted), text(id));

  await site.operations.hold(id, "another audit");
  await site.operations.unhold(id);

  const names = readdirSync(directory).filter((name) => name.startsWith("notes-"));
  expect(names.map((name) => name.replace(/-[0-9a-f]{8}\.json$/, "")).sort()).toEqual([
    "notes-0",
    "notes-1",
    "notes-2",
    "notes-999999999",
  ]);
  expect(site.warnings).toContainEqual(expect.stringContaining(`no backupctl has written ${planted}`));
  const { operations } = await rebuiltWithoutCatalog(site);
  expect((await operations.show(id)).notes.hold?.reason).toBe(held ? "planted" : undefined);
  rmSync(join(directory, planted));
  const again = await rebuiltWithoutCatalog(site);
  expect((await again.operations.show(id)).notes.hold).toBeUndefined();
});

it("notes that a host without the key wrote are followed by those of one that has it", async () => {
  const site = await openSite();
  const { id } = await createOne(site);
  const directory = await site.backupDirectory();
  const hold = { reason: "unproven", at: "2026-01-11T02:00:00Z", by: "x" };
  const mac = `sha256:${"0".repeat(64)}`;
  writeFileSync(
    join(directory, "notes-3-aaaaaaaa.json"),
    JSON.stringify({ version: 1, backup_id: id, n: 3, hold, mac }),
  );

  await site.operations.unhold(id);

  expect(readdirSync(directory).filter((name) => name.startsWith("notes-4-"))).toHaveLength(1);
  const { operations } = await rebuiltWithoutCatalog(site);
  expect((await operations.show(id)).notes.hold).toBeUndefined();
});
