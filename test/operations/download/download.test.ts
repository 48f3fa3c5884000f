import { execFileSync, spawnSync } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import Sqlite from "better-sqlite3";
import { describe, expect, it, test } from "vitest";
import { createOne, openSite, WWW, withEngine } from "../../helpers/open-site.ts";
import { damageData, difference, download, fillEveryKind, haveTreeTools, namesIn, www } from "../restore/tools.ts";

const DATABASE = `  app: {engine: sqlite, path: "{dir}/app.db"}`;

function fillDatabase(file: string): void {
  const database = new Sqlite(file);
  database.exec("create table t (a); insert into t values (1), (2)");
  database.close();
}

describe("download", () => {
  test.runIf(haveTreeTools)("writes a tar that GNU tar unpacks to the same tree", async () => {
    const site = await openSite();
    fillEveryKind(www(site));
    mkdirSync(join(www(site), "x".repeat(120), "y".repeat(120)), { recursive: true });
    writeFileSync(join(www(site), "x".repeat(120), "y".repeat(120), "ü".repeat(60)), "deep");
    writeFileSync(join(www(site), "no-rights"), "secret", { mode: 0 });
    await createOne(site);
    const to = join(site.directory, "out");

    const result = await download(site.operations, { to });

    const tar = join(to, "www.tar");
    expect(result.files).toEqual([{ source: "www", path: tar, sizeBytes: statSync(tar).size }]);
    expect(statSync(tar).mode & 0o777).toBe(0o600);
    expect(namesIn(to)).toEqual(["www.tar"]);
    const unpacked = join(site.directory, "unpacked");
    mkdirSync(unpacked);
    execFileSync("tar", ["-xpf", tar, "-C", unpacked, "--xattrs", "--xattrs-include=*"]);
    expect(difference(www(site), join(unpacked, www(site)))).toBe("");
  });

  it("keeps the order of thousands of entries without content among files that have some", async () => {
    const site = await openSite();
    for (let i = 0; i < 2_500; i++) writeFileSync(join(www(site), `${i}`), i % 1_100 === 7 ? `content ${i}` : "");
    await createOne(site);
    const to = join(site.directory, "out");

    await download(site.operations, { to });

    const listed = execFileSync("tar", ["-tf", join(to, "www.tar")], { encoding: "utf8", maxBuffer: 2 ** 24 });
    const names = listed.split("\n").filter((name) => name.includes("/www/") && !name.endsWith("/"));
    expect(names.map((name) => name.replace(/^.*\/www\//, ""))).toEqual(
      expect.arrayContaining(["7", "8", "1107", "2207", "2499", "index.html", "uploads/large.bin"]),
    );
    expect(new Set(names).size).toBe(names.length);
    expect(names.length).toBeGreaterThanOrEqual(2_503);
    expect(names).toEqual([...names].sort());
    const content = execFileSync("tar", [
      "-xOf",
      join(to, "www.tar"),
      names.find((name) => name.endsWith("/2207")) ?? "",
    ]);
    expect(content.toString()).toBe("content 2207");
  });

  it("takes the newest backup that holds the wanted source, as a restore does", async () => {
    const site = await openSite({ sources: [WWW, DATABASE].join("\n") });
    fillDatabase(join(site.directory, "app.db"));
    const whole = await createOne(site);
    await createOne(site, { sources: ["app"] });

    const result = await download(site.operations, { sources: ["www"], to: join(site.directory, "out") });

    expect(result.backupId).toBe(whole.id);
  });

  it("removes what a killed one left at the same place, and nothing else", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");
    mkdirSync(to);
    const { pid: gone } = spawnSync("true");
    const kept = [
      ".www.tar.backupctl-mine",
      `.db.backupctl-${gone}-0123abcd`,
      `.www.tar.backupctl-${process.ppid}-0123abcd`,
    ];
    for (const name of [...kept, `.www.tar.backupctl-${gone}-0123abcd`]) writeFileSync(join(to, name), "half");

    await download(site.operations, { to });

    expect(namesIn(to).toSorted()).toEqual([...kept, "www.tar"].toSorted());
  });

  it("lets two write to one place at once: the first takes the name, and neither breaks the other", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");

    const both = await Promise.allSettled([download(site.operations, { to }), download(await site.reopen(), { to })]);

    const failures = both.flatMap((one) => (one.status === "rejected" ? [one.reason] : []));
    expect(failures).toMatchObject(failures.length === 0 ? [] : [{ code: "TARGET_NOT_EMPTY" }]);
    expect(namesIn(to)).toEqual(["www.tar"]);
  });

  it("narrows the tar to what is included", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");

    await download(site.operations, { to, include: ["*.html"] });

    const listed = execFileSync("tar", ["-tf", join(to, "www.tar")], { encoding: "utf8" });
    expect(listed.trim().split("\n").at(-1)).toBe(join(www(site), "index.html").slice(1));
    expect(listed).not.toContain("large.bin");
  });

  it("writes a database as the file that its engine names", async () => {
    const site = await openSite({ sources: [WWW, DATABASE].join("\n") });
    fillDatabase(join(site.directory, "app.db"));
    await createOne(site);
    const to = join(site.directory, "out");

    const result = await download(site.operations, { to });

    expect(result.files.map(({ source, path }) => [source, path])).toEqual([
      ["www", join(to, "www.tar")],
      ["app", join(to, "app.db")],
    ]);
    const database = new Sqlite(join(to, "app.db"), { readonly: true });
    expect(database.prepare("select sum(a) from t").pluck().get()).toBe(3);
    database.close();
  });

  it("writes to a stream when there is exactly one file, and else names them", async () => {
    const site = await openSite({ sources: [WWW, DATABASE].join("\n") });
    fillDatabase(join(site.directory, "app.db"));
    await createOne(site);
    const pieces: Uint8Array[] = [];
    const write = async (bytes: Uint8Array): Promise<void> => void pieces.push(bytes.slice());

    await expect(download(site.operations, { write })).rejects.toMatchObject({
      code: "USAGE",
      message: expect.stringMatching(/www\.tar, app\.db/),
    });
    await download(site.operations, { write, sources: ["app"] });

    expect(Buffer.concat(pieces).subarray(0, 15).toString()).toBe("SQLite format 3");
  });

  it("never replaces a file unless told to", async () => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, "out");
    mkdirSync(to);
    writeFileSync(join(to, "www.tar"), "mine");

    const refused = download(site.operations, { to });

    await expect(refused).rejects.toMatchObject({
      code: "TARGET_NOT_EMPTY",
      hint: expect.stringContaining("--overwrite"),
    });
    expect(readFileSync(join(to, "www.tar"), "utf8")).toBe("mine");
    await download(site.operations, { to, overwrite: true });
    expect(statSync(join(to, "www.tar")).size).toBeGreaterThan(3 * 1024 * 1024);
  });

  it("leaves no part of a file that is damaged", async () => {
    const site = await openSite();
    await createOne(site);
    damageData(await site.backupDirectory(), "www");
    const to = join(site.directory, "out");

    const refused = download(site.operations, { to });

    await expect(refused).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining('source "www"'),
    });
    expect(existsSync(to)).toBe(false);
  });

  it("writes none of its files where one is damaged, and keeps what it was to replace", async () => {
    const site = await openSite({ sources: [WWW, DATABASE].join("\n") });
    fillDatabase(join(site.directory, "app.db"));
    await createOne(site);
    damageData(await site.backupDirectory(), "app");
    const to = join(site.directory, "out");
    mkdirSync(to);
    writeFileSync(join(to, "www.tar"), "mine");

    await expect(download(site.operations, { to, overwrite: true })).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining('source "app"'),
    });

    expect(namesIn(to)).toEqual(["www.tar"]);
    expect(readFileSync(join(to, "www.tar"), "utf8")).toBe("mine");
  });

  it("names the source whose list of parts is damaged", async () => {
    const site = await openSite();
    await createOne(site);
    rmSync(join(await site.backupDirectory(), "www.tree.root.zst.enc.00000000"));

    await expect(download(site.operations, { to: join(site.directory, "out") })).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining('source "www"'),
    });
  });

  it.each(["../app.db", "..", "", "a\0b"])("refuses a part that is named %j", async (name) => {
    const site = await openSite({ sources: DATABASE });
    fillDatabase(join(site.directory, "app.db"));
    await createOne(site);
    const files = (_: unknown, size: number) => [{ name, offset: 0, size }];
    const operations = await withEngine(site, "sqlite", { engine: (engine) => ({ ...engine, download: { files } }) });
    const to = join(site.directory, "out");

    await expect(download(operations, { to })).rejects.toMatchObject({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("an impossible name"),
    });
    expect(existsSync(to)).toBe(false);
  });

  it.each([
    ["ENOSPC", "INSUFFICIENT_STORAGE"],
    ["EIO", "RESTORE_FAILED"],
  ])("says what kept a tar from being written: %s", async (code, expected) => {
    const site = await openSite();
    await createOne(site);
    const write = () => Promise.reject(Object.assign(new Error("write failed"), { code }));

    await expect(download(site.operations, { write })).rejects.toMatchObject({
      code: expected,
      message: expect.stringContaining('source "www"'),
    });
  });

  it.each(["file", "file/below"])("refuses %s as a folder", async (name) => {
    const site = await openSite();
    await createOne(site);
    const to = join(site.directory, name);
    writeFileSync(join(site.directory, "file"), "mine");

    await expect(download(site.operations, { to })).rejects.toMatchObject({
      code: "RESTORE_FAILED",
      message: expect.stringContaining(to),
      hint: expect.stringContaining("--to"),
    });
  });

  it("needs no config of the source", async () => {
    const site = await openSite({ sources: DATABASE });
    fillDatabase(join(site.directory, "app.db"));
    await createOne(site);
    const bare = await site.reopen({
      loaded: { ...site.session.loaded, config: { ...site.session.loaded.config, sources: [] } },
    });

    await download(bare, { to: join(site.directory, "out") });

    expect(existsSync(join(site.directory, "out/app.db"))).toBe(true);
  });
});
