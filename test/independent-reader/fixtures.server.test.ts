import { spawnSync } from "node:child_process";
import * as fs from "node:fs";
import * as path from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import {
  type ExpectedSource,
  listTree,
  sha256Of,
  type TreeEntry,
  WITHOUT_KEY,
} from "../../scripts/format-fixtures/manifest.ts";
import { codeBlocks } from "../docs/commands.ts";
import { makeCliSite } from "../helpers/cli-site.ts";
import { requireOrSkip, SYSTEM_PYTHON } from "../servers/requirements.ts";
import { copyOfFixture, fixture, manifest, type ReadResult, readAll } from "./reader.ts";

/** docs/format.md suffices: a reader that was written from it alone reads what the program wrote, then and now. */

const secretsOf = (repository: string) => (WITHOUT_KEY.includes(repository) ? {} : { key: manifest.key });
const repositories = Object.entries(manifest.repositories);

describe.runIf(requireOrSkip("python3-modules"))("a reader written from docs/format.md", () => {
  test.each(repositories)("restores all backups of the fixture %s", (name, backups) => {
    const result = readAll(fixture(name), secretsOf(name));

    expect(result.refused).toEqual([]);
    expect(result.status).toBe(0);
    expect(result.backups.map((backup) => backup.path).sort()).toEqual(
      backups.map(({ directory }) => directory).sort(),
    );
    for (const { directory, mode, status, sources } of backups) {
      expect(result.backups.find((backup) => backup.path === directory)).toMatchObject({ mode, status });
      for (const [source, expected] of Object.entries(sources)) {
        expect(found(result, directory, source)).toEqual(comparable(expected));
      }
    }
  });

  test("opens backups by their passphrase as well", () => {
    const { backups, refused } = readAll(fixture("sealed-zstd"), { passphrase: `${manifest.passphrase}\n` });

    expect(refused).toEqual([]);
    expect(backups).toHaveLength(3);
  });

  test("writes canonical JSON as the page's vectors have it", () => {
    const page = fs.readFileSync(path.join(import.meta.dirname, "../../docs/format.md"), "utf8");
    const blocks = codeBlocks(page.slice(page.indexOf("\n### Canonical JSON\n")));
    const given = blocks.find(({ language }) => language === "json")?.text ?? "";
    const wanted = blocks.find(({ language }) => language === "text")?.text ?? "";
    const program = [
      "import sys; from json_objects import canonical, parse_json",
      "value = parse_json(sys.stdin.buffer.read(), 'stdin'); del value['mac'], value['signature']",
      "sys.stdout.buffer.write(canonical(value).encode())",
    ].join("\n");
    const options = { input: given, cwd: import.meta.dirname, encoding: "utf8" } as const;
    const { stdout } = spawnSync(SYSTEM_PYTHON, ["-B", "-c", program], options);

    expect(wanted).toContain(`canonical = ${stdout}\n`);
  });

  test("restores what the program backs up today, in full and on top of it", async () => {
    const site = await makeCliSite(`  site: {engine: files, paths: ["{dir}/site"]}
  names: {engine: command, command: [cat, "{dir}/site/names"]}`);
    const folder = path.join(site.directory, "site");
    fs.mkdirSync(path.join(folder, "sub"), { recursive: true });
    fs.writeFileSync(path.join(folder, "names"), "Ada\nGrace\n");
    fs.writeFileSync(path.join(folder, "sub/large"), Buffer.alloc(3_000_000, "large "));
    fs.symlinkSync("names", path.join(folder, "link"));
    fs.linkSync(path.join(folder, "names"), path.join(folder, "sub/twin"));
    fs.truncateSync(path.join(folder, "sub/large"), 9_000_000);
    await site.json(z.unknown(), ["create"]);
    fs.appendFileSync(path.join(folder, "names"), "Edsger\n");
    fs.rmSync(path.join(folder, "link"));
    await site.json(z.unknown(), ["create", "--mode", "incremental"]);

    await site.json(z.unknown(), ["hold", "latest", "--reason", "audit"]);

    const key = fs.readFileSync(path.join(site.directory, "main.key"), "utf8");
    const result = readAll(path.join(site.directory, "repository"), { key });

    expect(result.refused).toEqual([]);
    expect(result.backups.map(({ mode }) => mode).sort()).toEqual(["full", "incremental"]);
    const { path: newest = "", notes } = result.backups.find(({ mode }) => mode === "incremental") ?? {};
    expect(notes).toMatchObject({ hold: { reason: "audit" } });
    const now = listTree("/", folder.slice(1));
    expect(listTree(path.join(result.to, newest, "site"), folder.slice(1))).toEqual(now);
    expect(fs.readFileSync(path.join(result.to, newest, "names.output"), "utf8")).toBe("Ada\nGrace\nEdsger\n");
    const oldest = result.backups.find(({ mode }) => mode === "full")?.path ?? "";
    expect(fs.readlinkSync(path.join(result.to, oldest, "site", folder, "link"))).toBe("names");
  });

  test("knows the newest backup's hold, and believes notes that no key proves only when they keep it", () => {
    const repository = copyOfFixture("sealed-gzip");
    const newest = manifest.repositories["sealed-gzip"]?.at(-1)?.directory ?? "";
    const forged = (id: string, n: number, facts: object): void =>
      fs.writeFileSync(
        path.join(repository, newest, `notes-${n}-00000000.json`),
        JSON.stringify({ version: 1, backup_id: id, n, ...facts, mac: `hmac-sha256:${"0".repeat(64)}` }),
      );
    const read = () => readAll(repository, { key: manifest.key }).backups.find((backup) => backup.path === newest);
    const before = read();
    forged(before?.id ?? "", 5, { tags: ["forged"], retention_until: "2020-01-01T00:00:00.000Z" });
    forged(before?.id ?? "", 6, { retention_until: "2030-01-01T00:00:00.000Z" });

    expect(before?.notes).toMatchObject({ hold: { reason: "so that there are notes" }, tags: [] });
    expect(read()?.notes).toEqual({ ...before?.notes, retention_until: "2030-01-01T00:00:00.000Z" });
  });

  test("restores nothing without the key", () => {
    const { backups, refused, status, to } = readAll(fixture("sealed-zstd"));

    expect({ backups, status, written: fs.readdirSync(to) }).toEqual({ backups: [], status: 4, written: [] });
    expect(refused).toHaveLength(3);
  });

  test("restores nothing with another key", () => {
    const { backups, refused } = readAll(fixture("sealed-zstd"), { key: "00".repeat(32) });

    expect(backups).toEqual([]);
    expect(refused.map(({ reason }) => reason)).toEqual(refused.map(() => expect.stringContaining("no key opens it")));
  });

  test("refuses a backup that no key proves where a key is given, unless it is named", () => {
    const id = readAll(fixture("open-zstd")).backups[0]?.id;

    expect(readAll(fixture("open-zstd"), { key: manifest.key })).toMatchObject({ status: 4, backups: [] });
    const allowed = readAll(fixture("open-zstd"), { key: manifest.key, allow: id ?? "" });
    expect(allowed.backups.map((backup) => backup.id)).toEqual([id]);
  });

  test("reads metadata whatever their indentation and order", () => {
    const repository = copyOfFixture("sealed-gzip");
    for (const { directory } of manifest.repositories["sealed-gzip"] ?? []) {
      const file = path.join(repository, directory, "metadata.json");
      const members = Object.entries(
        z.record(z.string(), z.unknown()).parse(JSON.parse(fs.readFileSync(file, "utf8"))),
      );
      fs.writeFileSync(file, JSON.stringify(Object.fromEntries(members.reverse())));
    }

    expect(readAll(repository, { key: manifest.key })).toMatchObject({ status: 0, refused: [] });
  });
});

/** A restored source as the manifest describes it. */
function found({ backups, to }: ReadResult, directory: string, source: string): unknown {
  const { place = "", entries = {} } = backups.find((backup) => backup.path === directory)?.sources[source] ?? {};
  if (fs.statSync(place).isDirectory()) {
    const base = path.join(to, directory, source);
    return { tree: listTree(base, "srv").slice(2).map(onDisk) };
  }
  const parts = Object.entries(entries);
  const bytes = fs.readFileSync(place);
  const rows = parts.flatMap(([name, part]) => (part.rows === undefined ? [] : [[name, part.rows] as const]));
  return {
    stream: {
      size: bytes.length,
      sha256: sha256Of(bytes),
      parts: Object.fromEntries(parts.map(([name, { sha256 }]) => [name, sha256])),
    },
    ...(rows.length === 0 ? {} : { tables: Object.fromEntries(rows) }),
  };
}

function comparable(source: ExpectedSource): unknown {
  return source.tree === undefined ? source : { tree: source.tree.map(onDisk) };
}

/** Linux gives every symlink one mode, other systems others. */
function onDisk(entry: TreeEntry): TreeEntry {
  return entry.type === "symlink" ? { ...entry, mode: 0o777 } : entry;
}
