import { createHash } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { DatabaseSync } from "node:sqlite";
import { dataChunksAt, nextChunkLength } from "../../src/format/chunker.ts";
import { writeAttributes } from "../../src/platform/extended-attributes.ts";
import type { PostgresServer } from "../../test/servers/postgres.ts";

/** The small site that the sealed fixtures are backups of: each thing in it is a case that a reader of the format meets. */
export interface FixtureSite {
  readonly directory: string;
  readonly server: PostgresServer;
}

export async function makeSite({ directory, server }: FixtureSite): Promise<void> {
  makeUploads(path.join(directory, "uploads"));
  makeNotes(path.join(directory, "notes"));
  fs.writeFileSync(path.join(directory, "settings.txt"), settings(640));
  fs.writeFileSync(path.join(directory, "pages"), pages(0));
  const database = new DatabaseSync(path.join(directory, "app.db"));
  database.exec(`create table orders (id integer primary key, what text);
    insert into orders values (1, 'tea'), (2, 'milk'), (3, null); create index by_what on orders (what)`);
  database.close();
  await makeShop(server);
}

/** Changes of every kind, for the incremental and then the differential backup. */
export async function changeSite({ directory, server }: FixtureSite, round: 1 | 2): Promise<void> {
  const uploads = path.join(directory, "uploads");
  fs.appendFileSync(path.join(uploads, "access.log"), logLines(3_000, 20 * round));
  fs.writeFileSync(path.join(uploads, `added-${round}`), `added in round ${round}`);
  if (round === 1) {
    fs.rmSync(path.join(uploads, "removed"));
    fs.renameSync(path.join(uploads, "sub/old name"), path.join(uploads, "sub/new name"));
    fs.chmodSync(path.join(uploads, "tool"), 0o700);
  }
  fs.writeFileSync(path.join(directory, "notes/changed"), `round ${round}`);
  fs.writeFileSync(path.join(directory, "settings.txt"), settings(640 + round));
  fs.writeFileSync(path.join(directory, "pages"), pages(round));
  const database = new DatabaseSync(path.join(directory, "app.db"));
  database.exec(`insert into orders (what) values ('round ${round}')`);
  database.close();
  await server.sql(
    "shop",
    `insert into orders (what) values ('round ${round}'); delete from orders where id = ${round}`,
  );
}

function makeUploads(uploads: string): void {
  fs.mkdirSync(path.join(uploads, "empty"), { recursive: true, mode: 0o750 });
  fs.mkdirSync(path.join(uploads, "sub"));
  fs.writeFileSync(path.join(uploads, "access.log"), logLines(0, 3_000));
  fs.writeFileSync(path.join(uploads, "nothing"), "");
  fs.writeFileSync(path.join(uploads, "removed"), "gone after the full backup");
  fs.writeFileSync(path.join(uploads, "sub/old name"), "renamed after the full backup");
  fs.writeFileSync(path.join(uploads, 'a\nline feed, "quotes" and ünïcödé'), "an odd name");
  fs.writeFileSync(
    Buffer.concat([Buffer.from(`${uploads}/caf`), Buffer.from([0xe9, 0xff])]),
    "a name that is not UTF-8",
  );
  // "sub" and what is in it come before "sub-" and "sub.txt": "/" is less than every other byte.
  fs.writeFileSync(path.join(uploads, "sub-"), "");
  fs.writeFileSync(path.join(uploads, "sub.txt"), "");
  fs.writeFileSync(path.join(uploads, "tool"), "#!/bin/sh\n", { mode: 0o755 });
  fs.writeFileSync(path.join(uploads, "sub/linked"), "one file of two names");
  fs.linkSync(path.join(uploads, "sub/linked"), path.join(uploads, "twin"));
  fs.symlinkSync("../no/where", path.join(uploads, "sub/link"));
  fs.symlinkSync(Buffer.from([0x2f, 0xfe]), path.join(uploads, "sub/link to no UTF-8"));
  fs.writeFileSync(path.join(uploads, "many chunks"), manyChunks());
  makeSparse(path.join(uploads, "sparse"));
  setAttributes(path.join(uploads, "sub"), { "user.folder": "yes" });
  setAttributes(path.join(uploads, "tool"), { "user.b": "two", "user.a": "", "user.bytes": "\u0000\u00ff" });
  // As text: a negative number would be taken for "now".
  fs.utimesSync(path.join(uploads, "sub.txt"), "-1.5", "-1.5");
}

/** A tree for repositories that are not compressed. */
function makeNotes(notes: string): void {
  fs.mkdirSync(path.join(notes, "folder"), { recursive: true });
  fs.writeFileSync(path.join(notes, "folder/readme"), "a few words\n".repeat(20));
  fs.writeFileSync(path.join(notes, "changed"), "as it was");
  fs.symlinkSync("folder/readme", path.join(notes, "link"));
}

function logLines(from: number, count: number): string {
  const lines = Array.from({ length: count }, (_, i) => `line ${from + i}: GET /page/${((from + i) * 7919) % 1000}\n`);
  return lines.join("");
}

/** Several blocks of 1 MiB, which take almost no room. */
function settings(count: number): Buffer {
  const pages = Array.from({ length: count }, (_, i) =>
    `page ${i} `.padEnd(4_095, "…").slice(0, 1_365).padEnd(1_366, "\n"),
  );
  return Buffer.from(pages.join(""));
}

/** More than a pack holds, no chunk of it like another, and almost nothing but zeros. The last page says the round. */
function pages(round: number): Buffer {
  const size = 64 * 1024;
  const count = 280;
  const bytes = Buffer.alloc(count * size);
  for (let i = 0; i < count; i++) bytes.writeUInt32BE(i + 1, i * size);
  bytes.writeUInt32BE(round, bytes.length - 4);
  return bytes;
}

/** More chunks than fit into one line of an index: the same short chunk, over and over, and so stored once. */
function manyChunks(): Buffer {
  for (let seed = 0; ; seed++) {
    const bytes = Buffer.concat(
      Array.from({ length: 8_192 }, (_, i) => createHash("sha256").update(`${seed} ${i}`).digest()),
    );
    const length = nextChunkLength(bytes, 0, bytes.length, dataChunksAt(0), true);
    if (length > 18_000) continue;
    return Buffer.concat([...Array.from({ length: 520 }, () => bytes.subarray(0, length)), Buffer.from("the end")]);
  }
}

/** Larger than 1 MiB: smaller files are stored with their zeros. */
function makeSparse(file: string): void {
  const descriptor = fs.openSync(file, "w");
  fs.writeSync(descriptor, "begin");
  fs.writeSync(descriptor, "middle", 1_000_000);
  fs.ftruncateSync(descriptor, 3_000_000);
  fs.closeSync(descriptor);
}

function setAttributes(place: string, values: Readonly<Record<string, string>>): void {
  const encoded = Object.entries(values).map(([name, value]) => [
    name,
    Buffer.from(value, "latin1").toString("base64"),
  ]);
  const descriptor = fs.openSync(place, "r");
  const failed = writeAttributes(descriptor, Object.fromEntries(encoded));
  fs.closeSync(descriptor);
  if (failed.length > 0) throw new Error(`${place}: this file system has no extended attributes`);
}

async function makeShop(server: PostgresServer): Promise<void> {
  await server.createDatabase("shop");
  await server.sql(
    "shop",
    `create role shop_owner nologin;
     create table orders (id serial primary key, what text, note text);
     insert into orders (what, note) values ('tea', null), (E'tab\\there', E'line\\nfeed'), (E'back\\\\slash', '\\.'), ('', 'empty');
     create schema "Odd.Schema" authorization shop_owner;
     create table "Odd.Schema"."a/b" ("Col umn" int, b bytea);
     insert into "Odd.Schema"."a/b" select i, decode(md5(i::text), 'hex') from generate_series(1, 300) i;
     create table nothing (id int);
     create view teas as select * from orders where what = 'tea';
     select lo_from_bytea(0, 'a large object');`,
  );
}

/** The rows of the tables as the server itself tells them, by the names that entries of the dump have. */
export async function tablesOf(server: PostgresServer): Promise<Record<string, string[]>> {
  const names = { "public.orders": "orders", '"Odd.Schema"."a/b"': '"Odd.Schema"."a/b"', "public.nothing": "nothing" };
  const tables: Record<string, string[]> = {};
  for (const [name, table] of Object.entries(names)) {
    const rows = await server.sql("shop", `copy ${table} to stdout`);
    tables[`shop/${name}`] = rows === "" ? [] : rows.split("\n");
  }
  return tables;
}
