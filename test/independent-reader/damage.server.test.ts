import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { forge } from "../helpers/forge.ts";
import { BLOCK_FORGERIES, FORGED_AS_IT_WAS, FORGERIES } from "../helpers/forgeries.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { copyOfFixture, manifest, type ReadResult, readAll } from "./reader.ts";

/** What docs/format.md says must be refused is refused by a reader that was written from it alone, as by recover.mjs. */

const there = requireOrSkip("python3-modules");
const RECOVER = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const secret = { key: manifest.key };

/** Which sources of a backup were restored, and which were refused; what was refused left nothing. */
function outcome({ backups, refused, to }: ReadResult, directory: string): Record<string, string> {
  const sources = Object.entries(backups.find((backup) => backup.path === directory)?.sources ?? {});
  const left = fs.existsSync(path.join(to, directory)) ? fs.readdirSync(path.join(to, directory)) : [];
  const written = sources.flatMap(([, { place }]) => (place === undefined ? [] : [path.basename(place)]));
  expect(left.sort()).toEqual(written.sort());
  const reasons = refused.filter(({ backup }) => backup === directory);
  return Object.fromEntries([
    ...sources.flatMap(([name, { place }]) => (place === undefined ? [] : [[name, "restored"]])),
    ...reasons.map(({ source, reason }) => [source ?? "", reason]),
  ]);
}

function flip(bytes: Buffer, at: number): Buffer {
  bytes.writeUInt8(bytes.readUInt8(at) ^ 1, at);
  return bytes;
}

/** Damages the packs of one part of every source; gives the sources that have any. */
function damagePacks(folder: string, part: string, damage: Damage): ReadonlySet<string> {
  const ofPart = part === "data" ? /^\w+\.\w+\.(raw|gz|zst)/ : new RegExp(`^\\w+\\.\\w+\\.${part}\\.`);
  const files = fs.readdirSync(folder).filter((file) => /\.\d{8}$/.test(file) && ofPart.test(file));
  const packs = files.map((file) => fs.readFileSync(path.join(folder, file)));
  for (const [i, file] of files.entries()) {
    const other = packs[(i + 1) % packs.length] ?? Buffer.alloc(0);
    const damaged = damage(Buffer.from(packs[i] ?? ""), other);
    if (damaged === undefined) fs.rmSync(path.join(folder, file));
    else fs.writeFileSync(path.join(folder, file), damaged);
  }
  return new Set(files.map((file) => file.slice(0, file.indexOf("."))));
}

type Damage = (bytes: Buffer, other: Buffer) => Buffer | undefined;

const DAMAGE: Readonly<Record<string, Damage>> = {
  "with a bit flipped in the middle": (bytes) => flip(bytes, bytes.length >> 1),
  "that are cut": (bytes) => bytes.subarray(0, -1),
  "that are empty": () => Buffer.alloc(0),
  "that are not there": () => undefined,
  "in place of which are those of another source": (_, other) => other,
};

/** The header is rebuilt, so only who reads a whole pack finds these. */
const HEADER_DAMAGE: Readonly<Record<string, Damage>> = {
  "with another compression in the header": (bytes) => flip(bytes, 4),
  "with another cipher in the header": (bytes) => flip(bytes, 5),
};

/** What recover.mjs makes of the same damaged copy. */
function recovered(repository: string, source: string): string {
  const folder = tempDir();
  fs.writeFileSync(path.join(folder, "key"), manifest.key);
  fs.mkdirSync(path.join(folder, "to"));
  const place = path.join(folder, "to", source);
  const args = [
    RECOVER,
    "restore",
    repository,
    "latest",
    source,
    "--key-file",
    path.join(folder, "key"),
    "--to",
    place,
  ];
  const { status, stderr } = spawnSync(process.execPath, args, { encoding: "utf8", env: {} });
  if (status === 0) return "restored";
  expect({ status, left: fs.readdirSync(path.join(folder, "to")) }).toEqual({ status: 4, left: [] });
  return stderr;
}

describe.runIf(there)("a reader written from docs/format.md", () => {
  const cases = ["sealed-gzip", "proven-none"].flatMap((repository) =>
    ["data", "index", "root"].flatMap((part) => [
      ...Object.entries(DAMAGE).map(([what, damage]) => ({ repository, part, what, damage, harmless: false })),
      ...Object.entries(HEADER_DAMAGE).map(([what, damage]) => ({
        repository,
        part,
        what,
        damage,
        harmless: part !== "root",
      })),
    ]),
  );

  test.each(cases)("agrees with recover.mjs on $repository, $part packs $what", ({ repository: name, ...given }) => {
    const repository = copyOfFixture(name);
    const directory = manifest.repositories[name]?.[0]?.directory ?? "";
    fs.rmSync(path.join(repository, "full/incremental"), { recursive: true });
    const hit = damagePacks(path.join(repository, directory), given.part, given.damage);

    const sources = outcome(readAll(repository, secret), directory);
    const refused = expect.not.stringMatching(/^restored$/);
    const wanted = Object.keys(sources).map((source) => [
      source,
      hit.has(source) && !given.harmless ? refused : "restored",
    ]);
    expect(hit.size).toBeGreaterThan(1);
    expect(sources).toEqual(Object.fromEntries(wanted));
    const others = Object.keys(sources).map((source) => [source, recovered(repository, source)]);
    expect(Object.fromEntries(others)).toEqual(Object.fromEntries(wanted));
  });

  const oldest = manifest.repositories["sealed-gzip"]?.[0]?.directory ?? "";
  const newest = manifest.repositories["sealed-gzip"]?.at(-1)?.directory ?? "";

  function copy(): { readonly repository: string; readonly at: (name: string) => string } {
    const repository = copyOfFixture("sealed-gzip");
    return { repository, at: (name) => path.join(repository, newest, name) };
  }

  const edits: readonly (readonly [string, (text: string) => string, string])[] = [
    ["changed", (text) => text.replace('"status": "partial"', '"status": "completed"'), "the mac"],
    ["with a plain hash for a mac", (text) => text.replace(/hmac-sha256:/, "sha256:"), "the mac"],
    ["that name no key", (text) => text.replace(/"key_id": "\w+"/, '"key_id": null'), "no key proves it"],
    [
      "that name another key",
      (text) => text.replace(/"key_id": "\w+"/, `"key_id": "${"0".repeat(32)}"`),
      "no key opens it",
    ],
    ["of a newer version", (text) => text.replace('"version": 1', '"version": 2'), "newer than this reader"],
    ["with a member of a newer release", (text) => text.replace("{", '{"new": 1,'), "a newer release"],
    ["that are no JSON", (text) => text.slice(0, -10), "is not JSON"],
  ];

  test.each(edits)("refuses metadata %s, and restores the others", (_, edit, reason) => {
    const { repository, at } = copy();
    fs.writeFileSync(at("metadata.json"), edit(fs.readFileSync(at("metadata.json"), "utf8")));

    const result = readAll(repository, secret);
    expect(outcome(result, newest)).toEqual({ "": expect.stringContaining(reason) });
    expect(outcome(result, oldest)).toMatchObject({ notes: "restored", settings: "restored" });
  });

  test("refuses a backup that was copied to another place, or into another repository", () => {
    const { repository } = copy();
    const elsewhere = newest.replace("2026-01-11", "2026-01-12");
    fs.cpSync(path.join(repository, newest), path.join(repository, elsewhere), { recursive: true });
    const stranger = manifest.repositories["sealed-zstd"]?.[0]?.directory ?? "";
    fs.cpSync(path.join(copyOfFixture("sealed-zstd"), stranger), path.join(repository, stranger), { recursive: true });

    const result = readAll(repository, secret);
    expect(outcome(result, elsewhere)).toEqual({ "": `it belongs to ${newest}` });
    expect(outcome(result, stranger)).toEqual({ "": "it is of another repository" });
    expect(outcome(result, newest)).toMatchObject({ notes: "restored" });
  });

  const keysOf = (folder: string): string =>
    path.join(folder, fs.readdirSync(folder).find((name) => name.startsWith("keys-")) ?? "");

  test("passes over keys objects that are damaged or another backup's", () => {
    const { repository, at } = copy();
    fs.copyFileSync(keysOf(path.join(repository, oldest)), at("keys-7-00000000.json"));
    fs.writeFileSync(at("keys-8-00000000.json"), "{");

    expect(readAll(repository, secret)).toMatchObject({ refused: [] });
  });

  const keysDamage: readonly (readonly [string, (file: string, repository: string) => void, string])[] = [
    ["gone", (file) => fs.rmSync(file), "no key opens it"],
    [
      "another's",
      (file, repository) => fs.copyFileSync(keysOf(path.join(repository, oldest)), file),
      "a key of another backup",
    ],
    [
      "changed",
      (file) => fs.writeFileSync(file, fs.readFileSync(file, "utf8").replaceAll('"name": "', '"name": "x')),
      "does not open with what was given",
    ],
  ];

  test.each(keysDamage)("refuses a backup whose keys object is %s", (_, damage, reason) => {
    const { repository, at } = copy();
    damage(keysOf(at("")), repository);

    expect(outcome(readAll(repository, secret), newest)).toEqual({ "": expect.stringContaining(reason) });
  });

  test("derives no key from a passphrase with parameters that whoever writes to the storage could have chosen", () => {
    const repository = copyOfFixture("sealed-zstd");
    const directory = manifest.repositories["sealed-zstd"]?.[0]?.directory ?? "";
    const file = keysOf(path.join(repository, directory));
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/"n": \d+/, `"n": ${2 ** 30}`));

    const result = readAll(repository, { passphrase: manifest.passphrase });
    expect(outcome(result, directory)).toEqual({ "": expect.stringContaining("out of bounds") });
  });

  test("derives no keys for hours from wraps that were planted", () => {
    const directory = manifest.repositories["sealed-zstd"]?.[0]?.directory ?? "";
    const readBehind = (count: number) => {
      const repository = copyOfFixture("sealed-zstd");
      const keys = JSON.parse(fs.readFileSync(keysOf(path.join(repository, directory)), "utf8"));
      const wraps = Array.from({ length: count }, () => ({
        provider: "passphrase",
        name: "planted",
        parameters: { salt: randomBytes(16).toString("base64"), n: 2 ** 15, r: 8, p: 1 },
        nonce: randomBytes(12).toString("base64"),
        ciphertext: randomBytes(48).toString("base64"),
      }));
      fs.writeFileSync(path.join(repository, directory, "keys-9-00000000.json"), JSON.stringify({ ...keys, wraps }));
      fs.rmSync(path.join(repository, "full/incremental"), { recursive: true });
      return outcome(readAll(repository, { passphrase: manifest.passphrase }), directory);
    };

    expect(readBehind(23)).toMatchObject({ uploads: "restored" });
    expect(readBehind(24)).toEqual({ "": "24 wraps do not open with what was given" });
  });

  test("refuses the sources of which an ancestor is gone", () => {
    const { repository } = copy();
    fs.rmSync(path.join(repository, oldest), { recursive: true });

    const missing = expect.stringContaining("No such file");
    expect(outcome(readAll(repository, secret), newest)).toMatchObject({ notes: missing, settings: missing });
  });

  test.each<readonly [string, (file: string) => void]>([
    ["lost", (file) => fs.rmSync(file)],
    ["empty", (file) => fs.truncateSync(file)],
    ["changed", (file) => fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(/("key_id": ")\w/, "$1f"))],
  ])("opens what lies in an ancestor whose metadata are %s", (_, damage) => {
    const { repository } = copy();
    damage(path.join(repository, oldest, "metadata.json"));

    expect(outcome(readAll(repository, secret), newest)).toMatchObject({ notes: "restored", settings: "restored" });
  });

  test("waits for no pipe in an object's place, and passes over keys and notes that are none", () => {
    const { repository, at } = copy();
    for (const [n, text] of ["null", "[]", "1"].entries()) fs.writeFileSync(at(`notes-${n}-00000000.json`), text);
    const planted = newest.replace("2026-01-11", "2099-01-01");
    fs.mkdirSync(path.join(repository, planted), { recursive: true });
    spawnSync("mkfifo", [path.join(repository, planted, "metadata.json"), at("keys-9-00000000.json")]);
    fs.symlinkSync("/dev/zero", at("keys-8-00000000.json"));

    const result = readAll(repository, secret);

    expect(outcome(result, planted)).toEqual({ "": "metadata.json is missing, or not a file" });
    expect(outcome(result, newest)).toMatchObject({ notes: "restored", settings: "restored" });
  });

  test("refuses an older root in place of a newer one", () => {
    const { repository, at } = copy();
    const root = fs.readdirSync(at("")).find((name) => name.startsWith("notes.tree.root")) ?? "";
    fs.copyFileSync(path.join(repository, oldest, root), at(root));

    const sources = outcome(readAll(repository, secret), newest);
    expect(sources.notes).not.toBe("restored");
    expect(sources.settings).toBe("restored");
  });

  test("reads a backup that is about to be deleted, and one without notes and SHA256SUMS where it is sealed", () => {
    const { repository, at } = copy();
    fs.writeFileSync(at("deleted.json"), "{}");
    fs.rmSync(at("SHA256SUMS"));

    expect(readAll(repository, secret)).toMatchObject({ refused: [] });
  });

  describe("of a source that was forged with every sum made right", () => {
    const directory = "full/incremental/2026-01-11/differential-03-00-00-8e24a759";
    let pool: WorkerPool;
    beforeAll(() => {
      pool = new WorkerPool(1);
    });
    afterAll(async () => pool.close());

    async function readForged({ source, ...forgery }: (typeof FORGERIES)[number]): Promise<Record<string, string>> {
      const repository = copyOfFixture("open-zstd");
      await forge(repository, { directory, source }, forgery, { pool, directory: tempDir() });
      return outcome(readAll(repository), directory);
    }

    test.each(FORGED_AS_IT_WAS)("restores what says nothing wrong: $what", async (forgery) => {
      expect(await readForged(forgery)).toEqual({ notes: "restored", app: "restored" });
    });

    test.each([...FORGERIES, ...BLOCK_FORGERIES])("refuses $what", async (forgery) => {
      const refused = expect.not.stringMatching(/^restored$/);
      const sources = await readForged(forgery);

      if (forgery.metadata !== undefined) expect(sources).toEqual({ "": refused });
      else expect(sources).toEqual({ notes: "restored", app: "restored", [forgery.source]: refused });
    });
  });
});
