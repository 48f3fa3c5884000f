import { execFileSync, spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { BackupMetadata, CompressionAlgorithm } from "../../src/domain/backup.ts";
import { backupDirectory } from "../../src/domain/object-names.ts";
import { WorkerPool } from "../../src/format/workers/pool.ts";
import { passphraseAdapter } from "../../src/keys/passphrase/provider.ts";
import { suiteTempDir, tempDir } from "../helpers/temp-dir.ts";
import { requireOrSkip } from "../servers/requirements.ts";
import { localKey, type MadeBackup, noise, piecesOf, sha256Hex, TestRepository } from "./build-repository.ts";

const PROGRAM = path.join(import.meta.dirname, "../../recovery/recover.mjs");
const key = randomBytes(32);
const NOBODY = 65534;

let pool: WorkerPool;
beforeAll(() => {
  pool = new WorkerPool(2);
});
afterAll(async () => pool.close());

interface Run {
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Makes a Node look like one from before 22.15. */
const WITHOUT_ZSTD = `data:text/javascript,${encodeURIComponent(
  "import zlib from 'node:zlib'; import { syncBuiltinESMExports } from 'node:module';" +
    "zlib.zstdDecompressSync = undefined; syncBuiltinESMExports();",
)}`;

interface RunOptions {
  readonly node?: string;
  readonly nodeOptions?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly user?: number;
}

/** In an empty folder that holds the program alone, with nothing in the environment. */
function recover(args: readonly string[], options: RunOptions = {}): Run {
  const folder = tempDir();
  fs.copyFileSync(PROGRAM, path.join(folder, "recover.mjs"));
  const { node = process.execPath, nodeOptions = [], env = {}, user: uid } = options;
  if (uid !== undefined) fs.chmodSync(folder, 0o755);
  const run = spawnSync(node, [...nodeOptions, "recover.mjs", ...args], {
    cwd: folder,
    env,
    encoding: "utf8",
    uid,
    gid: uid,
  });
  return { status: run.status, stdout: run.stdout, stderr: run.stderr };
}

function keyFile(text: string): string {
  const file = path.join(tempDir(), "key");
  fs.writeFileSync(file, text);
  return file;
}

/** A folder with everything a tree can hold. */
function makeTree(folder: string): void {
  fs.mkdirSync(path.join(folder, "empty"), { recursive: true, mode: 0o750 });
  fs.mkdirSync(path.join(folder, "sub/deep"), { recursive: true });
  fs.writeFileSync(path.join(folder, "sub/deep/large"), noise("large", 3 * 1024 * 1024 + 17));
  fs.writeFileSync(path.join(folder, "nothing"), "");
  fs.writeFileSync(path.join(folder, "text"), "hello\n".repeat(9000), { mode: 0o640 });
  fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0x62, 0xff, 0x0a, 0x62])]), "no utf-8");
  fs.linkSync(path.join(folder, "text"), path.join(folder, "sub/twin"));
  fs.symlinkSync("../no/where", path.join(folder, "sub/link"));
  fs.linkSync(path.join(folder, "sub/link"), path.join(folder, "twin of a link"));
  fs.writeFileSync(path.join(folder, "tool"), "#!/bin/sh\n", { mode: 0o755 });
  const sparse = fs.openSync(path.join(folder, "sparse"), "w");
  fs.writeSync(sparse, Buffer.from("begin"), 0, 5, 0);
  fs.writeSync(sparse, Buffer.from("middle"), 0, 6, 5_000_000);
  fs.ftruncateSync(sparse, 9_000_000);
  fs.closeSync(sparse);
  execFileSync("touch", ["-d", "@1700000000.123456789", path.join(folder, "text")]);
  fs.lutimesSync(path.join(folder, "sub/link"), 1_600_000_000, 1_600_000_000);
  fs.utimesSync(path.join(folder, "sub/deep"), 1_500_000_000, 1_500_000_000);
}

interface Listed {
  readonly name: string;
  readonly kind: string;
  readonly mode: number;
  readonly mtimeUs: bigint;
  readonly content: string;
  readonly links: number;
}

function describeEntry(place: Buffer, stats: fs.BigIntStats): { readonly kind: string; readonly content: string } {
  if (stats.isDirectory()) return { kind: "directory", content: "" };
  if (stats.isSymbolicLink()) return { kind: "symlink", content: fs.readlinkSync(place) };
  return { kind: "file", content: sha256Hex(fs.readFileSync(place)) };
}

function listTree(folder: string): Listed[] {
  const found: Listed[] = [];
  const visit = (relative: Buffer): void => {
    const place = Buffer.concat([Buffer.from(`${folder}/`), relative]);
    const stats = fs.lstatSync(place, { bigint: true });
    const { kind, content } = describeEntry(place, stats);
    const name = relative.toString("latin1");
    const links = kind === "directory" ? 0 : Number(stats.nlink);
    found.push({ name, kind, mode: Number(stats.mode & 0o7777n), mtimeUs: stats.mtimeNs / 1000n, content, links });
    if (kind === "directory") visitAll(place, relative);
  };
  const visitAll = (place: Buffer, relative: Buffer): void => {
    for (const name of fs.readdirSync(place, "buffer").sort(Buffer.compare)) {
      visit(relative.length === 0 ? name : Buffer.concat([relative, Buffer.from("/"), name]));
    }
  };
  visitAll(Buffer.from(folder), Buffer.alloc(0));
  return found;
}

const combinations: readonly (readonly [CompressionAlgorithm, boolean])[] = [
  ["zstd", true],
  ["gzip", true],
  ["none", true],
  ["zstd", false],
  ["gzip", false],
  ["none", false],
];

describe.each(combinations)("compression %s, encrypted %s", (algorithm, encrypt) => {
  const state = suiteTempDir();
  const tree = path.join(state, "tree");
  const first = noise("stream", 2_500_000);
  const second = Buffer.concat([first.subarray(0, 900_000), Buffer.from("inserted"), first.subarray(900_000)]);
  let repository: TestRepository;
  let full: MadeBackup;
  let incremental: MadeBackup;
  let differential: MadeBackup;
  let options: readonly string[];

  beforeAll(async () => {
    const compression = { algorithm, level: 3 };
    repository = new TestRepository(path.join(state, "repository"), state, {
      pool,
      keys: [localKey(key)],
      encrypt,
      compression,
    });
    makeTree(tree);
    const stream = (bytes: Buffer) => ({ name: "app", kind: "pgdump", bytes: piecesOf(bytes), facts: { entries: [] } });
    full = await repository.backUp([{ name: "uploads", folder: tree }, stream(first)]);
    fs.writeFileSync(path.join(tree, "added"), noise("added", 100_000));
    fs.rmSync(path.join(tree, "tool"));
    incremental = await repository.backUp([{ name: "uploads", folder: tree }, stream(second)], full);
    differential = await repository.backUp([{ name: "uploads", folder: tree }, stream(second)], full, "differential");
    const file = path.join(state, "key");
    fs.writeFileSync(file, `${key.toString("hex")}\n`);
    options = encrypt ? ["--key-file", file] : [];
  });

  function restored(backup: MadeBackup, source: string): string {
    const to = path.join(tempDir(), "restored");
    const run = recover(["restore", repository.directory, backup.metadata.id, source, ...options, "--to", to]);
    expect(run).toMatchObject({ status: 0 });
    return to;
  }

  test("brings a tree back from an incremental and a differential backup, byte for byte", () => {
    const expected = listTree(tree);

    for (const backup of [incremental, differential]) {
      const to = restored(backup, "uploads");

      expect(listTree(path.join(to, tree))).toEqual(expected);
      expect(fs.statSync(path.join(to, tree, "sparse")).blocks * 512).toBeLessThan(1_000_000);
      expect(fs.statSync(path.join(to, tree, "text")).ino).toBe(fs.statSync(path.join(to, tree, "sub/twin")).ino);
    }
  });

  test("brings a tree back from the full backup as it was then", () => {
    const names = listTree(path.join(restored(full, "uploads"), tree)).map(({ name }) => name);

    expect(names).toContain("tool");
    expect(names).not.toContain("added");
  });

  test("brings a stream back from each backup", () => {
    expect(fs.readFileSync(restored(full, "app")).equals(first)).toBe(true);
    expect(fs.readFileSync(restored(incremental, "app")).equals(second)).toBe(true);
    expect(fs.readFileSync(restored(differential, "app")).equals(second)).toBe(true);
  });

  test("ends as other programs do where its output is not taken", () => {
    const to = (redirection: string) =>
      spawnSync(
        "bash",
        ["-c", `"$@" ${redirection}; exit "\${PIPESTATUS[0]}"`, "x", process.execPath, PROGRAM, "list"].concat(
          repository.directory,
          options,
        ),
        {
          encoding: "utf8",
        },
      );

    expect(to("| true")).toMatchObject({ status: 141, stderr: "" });
    const full = to("> /dev/full");

    expect(full.stderr).toMatch(/^error: standard output does not take .*ENOSPC.*\n$/);
    expect(full.status).toBe(1);
  });

  test("lists what is there, with how far it is proven", () => {
    const { status, stdout } = recover(["list", repository.directory, ...options]);

    expect(status).toBe(0);
    for (const { metadata } of [full, incremental, differential]) expect(stdout).toContain(metadata.id);
    expect(stdout.match(encrypt ? / verified$/gm : / intact, not encrypted$/gm)).toHaveLength(3);
    expect(stdout).toContain("3 backups");
  });

  test("refuses a damaged pack and leaves nothing", () => {
    const copy = path.join(tempDir(), "copy");
    fs.cpSync(repository.directory, copy, { recursive: true });
    const folder = path.join(copy, full.metadata.storage_path);
    const pack = fs.readdirSync(folder).find((name) => /^uploads\.tree\.(zst|gz|raw)(\.enc)?\.0+$/.test(name)) ?? "";
    const bytes = fs.readFileSync(path.join(folder, pack));
    bytes[bytes.length - 1000] = (bytes.at(-1000) ?? 0) ^ 1;
    fs.writeFileSync(path.join(folder, pack), bytes);
    const to = path.join(tempDir(), "restored");

    const run = recover(["restore", copy, incremental.metadata.id, "uploads", ...options, "--to", to]);

    expect(run.status).toBe(4);
    expect(run.stderr).toContain(pack);
    expect(fs.readdirSync(path.dirname(to))).toEqual([]);
  });
});

describe("recover.mjs", () => {
  const state = suiteTempDir();
  const tree = path.join(state, "tree");
  let repository: TestRepository;
  let full: MadeBackup;
  let incremental: MadeBackup;
  let good: string;

  beforeAll(async () => {
    fs.mkdirSync(tree);
    fs.writeFileSync(path.join(tree, "a"), "first");
    const passphrase = await passphraseAdapter.open(
      { passphrase: "correct horse\n" },
      { name: "paper", repositoryId: "r" },
    );
    const options = {
      pool,
      keys: [localKey(key), passphrase],
      encrypt: true,
      compression: { algorithm: "gzip", level: 6 },
    } as const;
    repository = new TestRepository(path.join(state, "repository"), state, options);
    const facts = { entries: [part("globals.sql", 0, 6), part("app", 6, 4), part("app.t", 7, 2)] };
    const sources = () => [
      { name: "site", folder: tree },
      { name: "db", kind: "pgdump", bytes: piecesOf("globalDUMPend"), facts },
    ];
    full = await repository.backUp(sources());
    fs.writeFileSync(path.join(tree, "b"), "second");
    incremental = await repository.backUp(sources(), full);
    good = path.join(state, "good-key");
    fs.writeFileSync(good, key.toString("base64"));
  });

  function part(name: string, offset: number, size: number) {
    return { name, type: name.includes(".t") ? "table" : "database", offset, size };
  }

  function restore(args: readonly string[], directory = repository.directory): Run & { readonly to: string } {
    const to = path.join(tempDir(), "restored");
    return { ...recover(["restore", directory, ...args, "--to", to]), to };
  }

  function copyOf(): string {
    const copy = path.join(tempDir(), "copy");
    fs.cpSync(repository.directory, copy, { recursive: true });
    return copy;
  }

  function replaceIn(file: string, from: RegExp, to: string): void {
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace(from, to));
  }

  /** Puts metadata that nothing proves where they say that they belong, with the keys of the backup that they call themselves. */
  function plant(repositoryDirectory: string, metadata: BackupMetadata): BackupMetadata {
    const storagePath = backupDirectory(metadata);
    const lineage = [...metadata.lineage.slice(0, -1), { id: metadata.id, path: storagePath }];
    const planted = { ...metadata, lineage, storage_path: storagePath };
    const from = path.join(repositoryDirectory, incremental.metadata.storage_path);
    const to = path.join(repositoryDirectory, storagePath);
    fs.mkdirSync(to, { recursive: true });
    for (const name of keysIn(from)) fs.copyFileSync(path.join(from, name), path.join(to, name));
    const text = JSON.stringify({ ...planted, mac: `hmac-sha256:${"0".repeat(64)}` });
    fs.writeFileSync(path.join(to, "metadata.json"), text);
    return planted;
  }

  function keysIn(folder: string): readonly string[] {
    return fs.readdirSync(folder).filter((name) => name.startsWith("keys-"));
  }

  /** Wraps that are said to be for a passphrase, each with a salt of its own. */
  function plantWraps(repositoryDirectory: string, { id, key_id, storage_path }: BackupMetadata, count: number): void {
    const wraps = Array.from({ length: count }, () => ({
      provider: "passphrase",
      name: "paper",
      parameters: { salt: randomBytes(16).toString("base64"), n: 2 ** 15, r: 8, p: 1 },
      nonce: randomBytes(12).toString("base64"),
      ciphertext: randomBytes(48).toString("base64"),
    }));
    const keys = { version: 1, backup_id: id, key_id, wraps };
    fs.writeFileSync(path.join(repositoryDirectory, storage_path, "keys-9-00000000.json"), JSON.stringify(keys));
  }

  test.runIf(requireOrSkip("root"))(
    "passes over folders that it may not read, and says so of those that may hold backups",
    () => {
      const copy = copyOf();
      const [type = "", category = ""] = full.metadata.storage_path.split("/");
      const closed = [`${type}/${category}/2020-01-01`, "other"];
      for (const name of [...closed, "lost+found"]) fs.mkdirSync(path.join(copy, name), { mode: 0o000 });
      for (const place of [path.dirname(copy), path.dirname(good)]) execFileSync("chmod", ["a+rx", place]);
      const to = path.join(tempDir(), "restored");
      fs.chmodSync(path.dirname(to), 0o777);

      const runs = [
        recover(["list", copy, "--key-file", good], { user: NOBODY }),
        recover(["restore", copy, "latest", "db", "--key-file", good, "--to", to], { user: NOBODY }),
      ];

      expect(runs.map(({ status }) => status)).toEqual([3, 0]);
      for (const { stderr } of runs) {
        for (const name of closed) expect(stderr).toContain(`warning: backups in ${name} are left out: EACCES`);
        expect(stderr).not.toContain("lost+found");
      }
      expect(runs[0]?.stdout).toContain("2 backups");
      expect(fs.existsSync(to)).toBe(true);
    },
  );

  test.each(["x".repeat(255), "ü".repeat(127), "💾".repeat(63)])(
    "restores a stream and a tree to the longest name: %s",
    (name) => {
      for (const args of [
        ["latest", "db", "--part", "app"],
        ["latest", "site"],
      ]) {
        const folder = tempDir();

        const run = recover([
          "restore",
          repository.directory,
          ...args,
          "--key-file",
          good,
          "--to",
          path.join(folder, name),
        ]);

        expect(run.status, run.stderr).toBe(0);
        expect(fs.readdirSync(folder)).toEqual([name]);
      }
    },
  );

  test("takes the key as base64, as hex and as a passphrase with a line break", () => {
    const files = [
      ["--key-file", good],
      ["--key-file", keyFile(`  ${key.toString("hex").toUpperCase()}\n`)],
      ["--passphrase-file", keyFile("correct horse\r\n")],
      [`--passphrase-file=${keyFile("correct horse")}`],
    ];

    for (const options of files) {
      const { status, to } = restore(["latest", "site", ...options]);

      expect(status).toBe(0);
      expect(fs.readFileSync(path.join(to, tree, "b"), "utf8")).toBe("second");
    }
  });

  test("says 12 for a wrong, a malformed and no key, and leaves nothing", () => {
    const attempts = [
      ["--key-file", keyFile(randomBytes(32).toString("hex"))],
      ["--key-file", keyFile("too short")],
      ["--key-file", path.join(state, "no-such-file")],
      ["--passphrase-file", keyFile("wrong")],
      ["--passphrase-file", keyFile("\n")],
      [],
    ];

    for (const options of attempts) {
      const { status, stderr, to } = restore([full.metadata.id, "site", ...options]);

      expect({ options, status }).toEqual({ options, status: 12 });
      expect(stderr).toMatch(/^error: /);
      expect(fs.existsSync(to)).toBe(false);
    }
  });

  test("takes the beginning of an id, and finds the newest with the source", () => {
    const { status, to } = restore([full.metadata.id.slice(0, 8), "site", "--key-file", good]);

    expect(status).toBe(0);
    expect(fs.readdirSync(path.join(to, tree))).toEqual(["a"]);
  });

  test("leaves out of latest what is damaged or was planted, with a warning, and refuses where nothing else is there", () => {
    const copy = copyOf();
    const put = (directory: string, text: string): void => {
      fs.mkdirSync(path.join(copy, directory), { recursive: true });
      fs.writeFileSync(path.join(copy, directory, "metadata.json"), text);
    };
    const bad = ["2098-01-01/full-02-00-00-0a0a0a0a", "2098-01-02/full-02-00-00-0b0b0b0b"].map(
      (name) => `full/daily/${name}`,
    );
    put(bad[0] ?? "", "{}");
    put(bad[1] ?? "", "");
    const planted = plant(copy, { ...incremental.metadata, timestamp: "2097-01-01T00:00:00.000Z" });
    fs.mkdirSync(path.join(copy, "full/daily/2099-01-01/full-02-00-00-0c0c0c0c/metadata.json"), { recursive: true });
    const options = ["latest", "db", "--key-file", good];

    const { status, stderr, to } = restore(options, copy);

    expect(status).toBe(0);
    expect(fs.readFileSync(to, "utf8")).toBe("globalDUMPend");
    expect(stderr).toContain(`(${incremental.metadata.id}, incremental)`);
    expect(stderr.match(/^warning: backup .* is left out: /gm)).toHaveLength(4);
    expect(stderr).toContain(`${planted.storage_path} is left out: ${planted.storage_path}/metadata.json was changed`);
    for (const directory of bad) expect(stderr).toContain(`warning: backup ${directory} is left out`);

    for (const { metadata } of [incremental, full]) put(metadata.storage_path, "{}");
    fs.rmSync(path.join(copy, "full/daily/2099-01-01"), { recursive: true });
    expect(restore(options, copy)).toMatchObject({ status: expect.toBeOneOf([1, 4]) });
    expect(restore(["0a0a0a0a", "db", "--key-file", good], copy)).toMatchObject({ status: expect.toBeOneOf([1, 4]) });
  });

  test("takes the newest backup that its key proves where newer ones were changed, or planted without a key", () => {
    const copy = copyOf();
    const { storage_path: place } = incremental.metadata;
    replaceIn(path.join(copy, place, "metadata.json"), /"host": "/, '"host": "x');
    const open = { encrypted: false, encryption_algorithm: null, key_id: null } as const;
    const planted = [
      plant(copy, { ...full.metadata, ...open, timestamp: "2099-01-01T00:00:00.000Z" }),
      plant(copy, { ...full.metadata, timestamp: "2098-01-01T00:00:00.000Z" }),
    ].map(({ storage_path }) => storage_path);
    for (const name of keysIn(path.join(copy, planted[1] ?? ""))) fs.rmSync(path.join(copy, planted[1] ?? "", name));

    const { status, stderr, to } = restore(["latest", "site", "--key-file", good], copy);

    expect(status, stderr).toBe(0);
    expect(stderr).toContain(`(${full.metadata.id}, full)`);
    expect(fs.readdirSync(path.join(to, tree))).toEqual(["a"]);
    for (const directory of [place, ...planted]) expect(stderr).toContain(`warning: backup ${directory} is left out`);
  });

  const link = (to: string) => (file: string) => fs.symlinkSync(to, file);
  test.each<readonly [string, (file: string) => void]>([
    ["a device without an end", link("/dev/zero")],
    ["a file of the system's without an end", link("/proc/self/pagemap")],
    ["a link to itself", link("metadata.json")],
    ["a folder", (file) => fs.mkdirSync(file)],
    ["a pipe", (file) => execFileSync("mkfifo", [file])],
  ])("is kept from no backup by %s in the place of others' metadata and of further keys", (_, make) => {
    const copy = copyOf();
    const folders = [full, incremental].map(({ metadata }) => path.join(copy, metadata.storage_path));
    const beside = path.join(copy, "full/daily/2099-01-01/full-00-00-00-0a0a0a0a");
    fs.mkdirSync(beside, { recursive: true });
    for (const folder of [...folders, beside]) make(path.join(folder, "keys-999999999-00000000.json"));
    make(path.join(beside, "metadata.json"));

    const { status, stderr, to } = restore(["latest", "site", "--key-file", good], copy);
    const listed = recover(["list", copy, "--key-file", good]);

    expect(status, stderr).toBe(0);
    expect(fs.readdirSync(path.join(to, tree))).toEqual(["a", "b"]);
    expect(listed).toMatchObject({ status: 0, stdout: expect.stringMatching(/\n2 backups\n$/) });
  });

  test("passes over keys objects with wraps that can be none", () => {
    const copy = copyOf();
    const sound = { provider: "passphrase", name: "paper", nonce: "", ciphertext: "" };
    const strange = [
      null,
      "wrap",
      { ...sound, name: 7 },
      { ...sound, nonce: undefined },
      { ...sound, parameters: null },
      { ...sound, parameters: { salt: "A".repeat(24), n: "32768", r: 8, p: 1 } },
      { ...sound, parameters: { salt: [], n: [2 ** 15], r: 8, p: 1 } },
    ];
    const { id, key_id, storage_path } = full.metadata;
    for (const [i, wrap] of strange.entries()) {
      const text = JSON.stringify({ version: 1, backup_id: id, key_id, wraps: [wrap] });
      fs.writeFileSync(path.join(copy, storage_path, `keys-${i + 2}-00000000.json`), text);
    }

    const { status, stderr } = restore([id, "site", "--passphrase-file", keyFile("correct horse")], copy);

    expect(status, stderr).toBe(0);
  });

  test("is not kept from a backup that is named by others that call themselves the same", () => {
    const copy = copyOf();
    const { id } = incremental.metadata;
    plant(copy, { ...incremental.metadata, timestamp: "2097-01-01T00:00:00.000Z" });
    const garbage = `full/daily/2099-01-01/full-00-00-00-${id.slice(0, 8)}`;
    fs.mkdirSync(path.join(copy, garbage), { recursive: true });
    fs.writeFileSync(path.join(copy, garbage, "metadata.json"), "{}");

    const { status, stderr, to } = restore([id, "db", "--key-file", good], copy);

    expect(status, stderr).toBe(0);
    expect(fs.readFileSync(to, "utf8")).toBe("globalDUMPend");
    expect(stderr.match(/^warning: backup .* is left out: /gm)).toHaveLength(2);
  });

  test("gives up after two dozen planted wraps, passes over fewer, and minds none for a key that it was not given", () => {
    const passphrase = ["--passphrase-file", keyFile("correct horse")];
    const restoreBehind = (count: number, options: readonly string[]) => {
      const copy = copyOf();
      plantWraps(copy, full.metadata, count);
      return restore([full.metadata.id, "site", ...options], copy);
    };

    expect(restoreBehind(23, passphrase).status).toBe(0);
    const many = restoreBehind(24, passphrase);
    expect(many).toMatchObject({ status: 4, stderr: expect.stringContaining("24 wraps that are said to be for") });
    expect(restoreBehind(256, ["--key-file", good]).status).toBe(0);
  });

  test("derives keys for no more than fifty salts to list what was planted, and opens what is named", {
    timeout: 600_000,
  }, () => {
    const copy = copyOf();
    for (const second of [0, 1, 2]) {
      const planted = plant(copy, { ...incremental.metadata, timestamp: `2020-01-01T00:00:0${second}.000Z` });
      const folder = path.join(copy, planted.storage_path);
      for (const name of keysIn(folder)) fs.rmSync(path.join(folder, name));
      plantWraps(copy, planted, 23);
    }
    const passphrase = ["--passphrase-file", keyFile("correct horse")];

    const listed = recover(["list", copy, ...passphrase]);

    expect(listed).toMatchObject({ status: 0, stderr: expect.stringContaining("for 50 salts only") });
    expect(listed.stdout.match(/not checked/g)).toHaveLength(5);
    expect(restore([full.metadata.id, "site", ...passphrase], copy).status).toBe(0);
  });

  test("restores a stream as one file, or one part of it", () => {
    const whole = restore(["latest", "db", "--key-file", good]);
    const one = restore(["latest", "db", "--key-file", good, "--part", "app"]);
    const none = restore(["latest", "db", "--key-file", good, "--part", "nope"]);

    expect(fs.readFileSync(whole.to, "utf8")).toBe("globalDUMPend");
    expect(fs.readFileSync(one.to, "utf8")).toBe("DUMP");
    expect(none.status).toBe(2);
    expect(none.stderr).toContain("globals.sql");
  });

  test("makes a file of each part that a stream consists of, so that a database's dump can be read by its tool", async () => {
    const folder = tempDir();
    const options = {
      pool,
      keys: [localKey(key)],
      encrypt: true,
      compression: { algorithm: "none", level: 0 },
    } as const;
    const server = new TestRepository(path.join(folder, "repository"), folder, options);
    const entries = [
      { name: "globals.sql", type: "globals", offset: 0, size: 6 },
      { name: "app", type: "database", offset: 6, size: 4 },
      { name: "app/public.t", type: "table", offset: 7, size: 3 },
      { name: "../a%b", type: "database", offset: 10, size: 3 },
      { name: "..", type: "database", offset: 13, size: 4 },
    ];
    const facts = { counts: {}, versions: {}, entries };
    await server.backUp([{ name: "db", kind: "pgdump", bytes: piecesOf("globalDUMPenddots"), facts }]);

    const { status, to } = restore(["latest", "db", "--key-file", good], server.directory);

    expect(status).toBe(0);
    const written = fs.readdirSync(to).map((name) => [name, fs.readFileSync(path.join(to, name), "utf8")]);
    expect(Object.fromEntries(written)).toEqual({
      "globals.sql": "global",
      "app.dump": "DUMP",
      "..%2Fa%25b.dump": "end",
      "...dump": "dots",
    });
  });

  test("restores into an empty folder that exists, and into no other", () => {
    const empty = tempDir();
    const taken = tempDir();
    fs.writeFileSync(path.join(taken, "mine"), "keep");
    const into = (to: string, source = "site") =>
      recover(["restore", repository.directory, "latest", source, "--key-file", good, "--to", to]);

    expect(into(empty).status).toBe(0);
    expect(fs.readdirSync(path.join(empty, tree))).toEqual(["a", "b"]);
    expect(into(taken).status).toBe(2);
    expect(fs.readdirSync(taken)).toEqual(["mine"]);
    expect(into(path.join(taken, "mine"), "db").status).toBe(2);
    expect(fs.readFileSync(path.join(taken, "mine"), "utf8")).toBe("keep");
  });

  test("says 2 for wrong usage, naming what is there", () => {
    const runs = [
      recover([]),
      recover(["frobnicate"]),
      recover(["list"]),
      recover(["list", path.join(state, "nowhere")]),
      recover(["restore", repository.directory, "latest", "site"]),
      restore(["latest", "nope", "--key-file", good]),
      restore([full.metadata.id, "nope", "--key-file", good]),
      restore(["00000000", "site", "--key-file", good]),
      restore(["../etc", "site", "--key-file", good]),
      restore(["latest", "site", "--key", "x"]),
    ];

    expect(runs.map(({ status }) => status)).toEqual(runs.map(() => 2));
    expect(runs[6]?.stderr).toContain("it has site, db");
  });

  test("explains itself", () => {
    const { status, stdout } = recover(["--help"]);

    expect(status).toBe(0);
    for (const word of ["list", "restore", "--key-file", "--passphrase-file", "--to", "Exit status"]) {
      expect(stdout).toContain(word);
    }
  });

  test("says 4 for metadata that was changed, moved or lost its ancestor", () => {
    const changed = copyOf();
    const file = path.join(changed, full.metadata.storage_path, "metadata.json");
    fs.writeFileSync(file, fs.readFileSync(file, "utf8").replace('"host": "web1"', '"host": "web2"'));
    const alone = copyOf();
    fs.rmSync(path.join(alone, full.metadata.storage_path), { recursive: true });
    const moved = copyOf();
    fs.renameSync(
      path.join(moved, full.metadata.storage_path),
      path.join(moved, full.metadata.storage_path.replace("02-00-00", "03-00-00")),
    );
    const options = ["site", "--key-file", good];

    expect(restore([full.metadata.id, ...options], changed)).toMatchObject({ status: 4 });
    expect(restore([incremental.metadata.id, ...options], alone)).toMatchObject({ status: 4 });
    expect(restore([full.metadata.id, ...options], moved)).toMatchObject({ status: 4 });
    expect(recover(["list", changed, "--key-file", good]).stdout).toContain("DAMAGED");
  });

  test.each<readonly [string, (file: string) => void]>([
    ["lost", (file) => fs.rmSync(file)],
    ["empty", (file) => fs.truncateSync(file)],
    ["no JSON", (file) => replaceIn(file, /\{/, "[")],
    ["another's by its host", (file) => replaceIn(file, /"host": "/, '"host": "x')],
    ["naming another key", (file) => replaceIn(file, /("key_id": )"\w+"/, `$1"${"0".repeat(32)}"`)],
    ["of another version", (file) => replaceIn(file, /"version": 1,/, '"version": 2,')],
  ])("restores from an ancestor whose metadata is %s, as the root proves its chunks", (_, damage) => {
    const copy = copyOf();
    damage(path.join(copy, full.metadata.storage_path, "metadata.json"));

    const { status, to } = restore([incremental.metadata.id, "site", "--key-file", good], copy);

    expect(status).toBe(0);
    expect(fs.readFileSync(path.join(to, tree, "a"), "utf8")).toBe("first");
  });

  test("refuses a backup that is not sealed although a key is given, unless told otherwise", async () => {
    const folder = tempDir();
    const options = { pool, keys: [], encrypt: false, compression: { algorithm: "none", level: 0 } } as const;
    const plain = new TestRepository(path.join(folder, "repository"), folder, options);
    await plain.backUp([{ name: "site", folder: tree }]);

    expect(restore(["latest", "site", "--key-file", good], plain.directory).status).toBe(12);
    expect(restore(["latest", "site", "--key-file", good, "--allow-unencrypted"], plain.directory).status).toBe(0);
  });

  test("lists without a key, and says what that leaves unproven", () => {
    const { status, stdout } = recover(["list", repository.directory]);

    expect(status).toBe(0);
    expect(stdout.match(/not checked \(no key given\)/g)).toHaveLength(2);
  });

  test("works with the system's Node, whatever its version", () => {
    const node = fs.existsSync("/usr/bin/node") ? "/usr/bin/node" : process.execPath;
    const to = path.join(tempDir(), "restored");

    const run = recover(["restore", repository.directory, "latest", "site", "--key-file", good, "--to", to], { node });

    expect(run).toMatchObject({ status: 0 });
  });

  test("reads zstd through the command where Node can't, and says what to install where that is missing", async () => {
    const folder = tempDir();
    const options = {
      pool,
      keys: [localKey(key)],
      encrypt: true,
      compression: { algorithm: "zstd", level: 3 },
    } as const;
    const zstd = new TestRepository(path.join(folder, "repository"), folder, options);
    await zstd.backUp([{ name: "db", kind: "dump", bytes: piecesOf("row ".repeat(50_000)) }]);
    const commands = path.join(folder, "bin");
    fs.mkdirSync(commands);
    const script = "process.stdout.write(require('zlib').zstdDecompressSync(require('fs').readFileSync(0)))";
    fs.writeFileSync(path.join(commands, "zstd"), `#!/bin/sh\nexec ${process.execPath} -e "${script}"\n`, {
      mode: 0o755,
    });
    const without = (PATH: string) => {
      const to = path.join(tempDir(), "restored");
      const args = ["restore", zstd.directory, "latest", "db", "--key-file", good, "--to", to];
      return { ...recover(args, { nodeOptions: ["--import", WITHOUT_ZSTD], env: { PATH } }), to };
    };

    const withCommand = without(commands);
    const withNothing = without("/nonexistent");

    expect(withCommand).toMatchObject({ status: 0 });
    expect(fs.readFileSync(withCommand.to, "utf8")).toBe("row ".repeat(50_000));
    expect(withNothing.status).toBe(1);
    expect(withNothing.stderr).toContain("Node 22.15");
    expect(fs.existsSync(withNothing.to)).toBe(false);
  });
});
