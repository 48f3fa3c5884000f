import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import Database from "better-sqlite3";
import { expect, it } from "vitest";
import { openSite } from "../../helpers/open-site.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { namesIn, restore } from "./tools.ts";

/** What is made beside a place has a longer name than the place. */
const LENGTHS = [248, 255];
const nameOf = (bytes: number): string => `${"x".repeat(bytes - 4)}üy.`;

it.each(LENGTHS)("streams and trees come to a name of %i bytes, and over what is there", async (bytes) => {
  const site = await openSite({
    sources: `  www: {engine: files, paths: ["{dir}/www"]}
  list: {engine: command, command: [seq, "1000"]}`,
  });
  await site.create();
  const folder = tempDir();
  const streams = join(folder, nameOf(bytes));
  const trees = join(tempDir(), nameOf(bytes));

  for (const overwrite of [false, true]) {
    await restore(site.operations, { latest: true, sources: ["list"], to: streams, overwrite });
    await restore(site.operations, { latest: true, sources: ["www"], to: trees, overwrite });
  }

  expect(namesIn(folder)).toEqual([nameOf(bytes)]);
  expect(fs.readFileSync(streams, "utf8")).toBe(execFileSync("seq", ["1000"], { encoding: "utf8" }));
  expect(fs.readFileSync(join(trees, site.directory, "www/index.html"), "utf8")).toBe("<h1>hello</h1>");
});

it.each(LENGTHS)("an SQLite database with a name of %i bytes comes back, and over what is there", async (bytes) => {
  const site = await openSite({ sources: `  db: {engine: sqlite, path: "{dir}/${nameOf(bytes)}"}` });
  const original = new Database(join(site.directory, "db"));
  original.exec("create table t (x); insert into t values (1)");
  original.close();
  fs.renameSync(join(site.directory, "db"), join(site.directory, nameOf(bytes)));
  await site.create();
  const folder = tempDir();

  for (const overwrite of [false, true])
    await restore(site.operations, { latest: true, to: `${folder}/`, overwrite, dropExisting: overwrite });

  expect(namesIn(folder)).toEqual([nameOf(bytes)]);
});
