// The small site of the quickstart: a shop whose program goes on writing to its SQLite database while it is backed up.
//
//   node site.mjs build DIR                          makes DIR/data, DIR/uploads and DIR/config
//   node site.mjs serve DIR                          sells until it is stopped
//   node site.mjs change DIR                         what happens to uploads and config in a day
//   node site.mjs orders DATABASE                    prints how many orders there are
//   node site.mjs compare LIVE RESTORED FROM TO      proves a restored database, made while there were FROM to TO orders
//   node site.mjs listing DIR [s]                    one line an entry: everything that a restore must bring back; times in seconds

import { isUtf8 } from "node:buffer";
import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs";
import * as path from "node:path";
import { DatabaseSync } from "node:sqlite";

const PRODUCTS = 200;
const STOCK = 1_000_000;
const FIRST_ORDERS = 25_000;
const SALE_EVERY_MS = 20;
const OPEN_FOR_MS = 5 * 60_000;

const say = (text) => process.stdout.write(`${text}\n`);
const databaseOf = (site) => path.join(site, "data", "shop.db");

const open = (file, options = {}) => new DatabaseSync(file, { timeout: 10_000, ...options });

function build(site) {
  for (const folder of ["data", "uploads", "config"]) fs.mkdirSync(path.join(site, folder), { recursive: true });
  const database = open(databaseOf(site));
  database.exec(`
    PRAGMA journal_mode = WAL;
    CREATE TABLE products (id INTEGER PRIMARY KEY, name TEXT NOT NULL, price INTEGER NOT NULL, stock INTEGER NOT NULL);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer TEXT NOT NULL, total INTEGER NOT NULL, note TEXT NOT NULL);
    CREATE TABLE order_lines (order_id INTEGER NOT NULL REFERENCES orders, product_id INTEGER NOT NULL, quantity INTEGER NOT NULL,
      price INTEGER NOT NULL);
    CREATE INDEX lines_of_order ON order_lines (order_id);
  `);
  const product = database.prepare("INSERT INTO products VALUES (?, ?, ?, ?)");
  database.exec("BEGIN");
  for (let id = 1; id <= PRODUCTS; id++) product.run(id, `Product ${id}`, 100 + ((id * 37) % 9900), STOCK);
  const sell = seller(database);
  for (let i = 0; i < FIRST_ORDERS; i++) sell();
  database.exec("COMMIT");
  database.close();
  buildUploads(path.join(site, "uploads"));
  buildConfig(path.join(site, "config"));
}

/** Sells one thing after another. Each order changes three tables, so half an order would show. */
function seller(database) {
  const order = database.prepare("INSERT INTO orders (customer, total, note) VALUES (?, ?, ?)");
  const line = database.prepare("INSERT INTO order_lines VALUES (?, ?, ?, ?)");
  const take = database.prepare("UPDATE products SET stock = stock - ? WHERE id = ? RETURNING price");
  let sold = 0;
  return () => {
    const lines = [0, 1].map((n) => ({
      product: 1 + ((sold * 7 + n * 101) % PRODUCTS),
      quantity: 1 + ((sold + n) % 3),
    }));
    sold++;
    const priced = lines.map((each) => ({ ...each, price: take.get(each.quantity, each.product).price }));
    const total = priced.reduce((sum, { quantity, price }) => sum + quantity * price, 0);
    const { lastInsertRowid } = order.run(`Customer ${sold % 997}`, total, randomBytes(24).toString("hex"));
    for (const { product, quantity, price } of priced) line.run(lastInsertRowid, product, quantity, price);
  };
}

function serve(site) {
  const database = open(databaseOf(site));
  database.exec("PRAGMA synchronous = NORMAL");
  const sell = seller(database);
  setInterval(() => {
    database.exec("BEGIN IMMEDIATE");
    sell();
    database.exec("COMMIT");
  }, SALE_EVERY_MS);
  const close = () => {
    database.close();
    process.exit(0);
  };
  process.on("SIGTERM", close);
  // Should the tour be killed, the shop does not go on for ever.
  setTimeout(close, OPEN_FOR_MS);
}

function buildUploads(uploads) {
  const at = (...names) => path.join(uploads, ...names);
  fs.mkdirSync(at("2026", "empty folder"), { recursive: true });
  for (let n = 1; n <= 12; n++) fs.writeFileSync(at("2026", `photo-${n}.jpg`), randomBytes(1_000_000));
  fs.writeFileSync(at("2026", "catalogue.csv"), csv(40_000));
  fs.writeFileSync(at("2026", "empty.txt"), "");
  fs.writeFileSync(at("2026", "contract.pdf"), randomBytes(50_000), { mode: 0o600 });
  fs.linkSync(at("2026", "photo-1.jpg"), at("2026", "cover.jpg"));
  fs.symlinkSync("2026", at("current"));
  fs.symlinkSync("nowhere/at all", at("dangling link"));
  for (const name of ["-rf", "tab\there", "new\nline", "quo\"te's", "Übergröße 🌍.txt", ".hidden"]) {
    fs.writeFileSync(at(name), `the file named ${JSON.stringify(name)}\n`);
  }
  try {
    fs.writeFileSync(
      Buffer.concat([Buffer.from(at("latin-1 ")), Buffer.from([0xe9, 0xfc])]),
      "a name that is not UTF-8\n",
    );
  } catch (error) {
    // Some file systems take UTF-8 only.
    if (error.code !== "EILSEQ" && error.code !== "EINVAL") throw error;
  }
  fs.utimesSync(at("2026", "catalogue.csv"), new Date("2019-05-04T03:02:01Z"), new Date("2019-05-04T03:02:01Z"));
}

function csv(lines) {
  return Array.from({ length: lines }, (_, n) => `${n};Product ${n % PRODUCTS};${(n * 7919) % 10_007}\n`).join("");
}

function buildConfig(config) {
  fs.writeFileSync(path.join(config, "shop.ini"), "[shop]\nname = Example shop\ncurrency = EUR\nmaintenance = off\n");
  fs.writeFileSync(path.join(config, "tls.key"), `${randomBytes(1_500).toString("base64")}\n`, { mode: 0o600 });
}

function change(site) {
  const at = (...names) => path.join(site, "uploads", ...names);
  fs.writeFileSync(at("2026", "photo-13.jpg"), randomBytes(300_000));
  fs.rmSync(at("2026", "photo-12.jpg"));
  fs.renameSync(at("2026", "photo-11.jpg"), at("2026", "beach.jpg"));
  fs.appendFileSync(at("2026", "catalogue.csv"), "one more line\n");
  const ini = path.join(site, "config", "shop.ini");
  fs.writeFileSync(ini, fs.readFileSync(ini, "utf8").replace("maintenance = off", "maintenance = on"));
}

function countOrders(file) {
  const database = open(file);
  const { count } = database.prepare("SELECT count(*) AS count FROM orders").get();
  database.close();
  return count;
}

function compare(live, restored, from, to) {
  const database = open(restored, { readOnly: true });
  const one = (sql) => Object.values(database.prepare(sql).get())[0];
  const orders = one("SELECT count(*) FROM orders");
  const checks = [
    ["SQLite's integrity check", one("PRAGMA integrity_check"), "ok"],
    ["orders whose lines do not add up", one(UNBALANCED), 0],
    ["products whose stock does not fit their sales", one(UNSOLD), 0],
    ["orders that differ from the shop's own", differing(live, restored), 0],
  ];
  database.close();
  say(`${orders} orders in the restored database. When the backup began the shop had ${from}, when it ended ${to}.`);
  for (const [what, found] of checks) say(`  ${what}: ${found}`);
  const inTime = Number(from) <= orders && orders <= Number(to);
  return inTime && checks.every(([, found, wanted]) => found === wanted);
}

const UNBALANCED = `SELECT count(*) FROM orders WHERE total <>
  (SELECT coalesce(sum(quantity * price), 0) FROM order_lines WHERE order_id = orders.id)`;
const UNSOLD = `SELECT count(*) FROM products LEFT JOIN (SELECT product_id, sum(quantity) AS sold FROM order_lines GROUP BY product_id)
  ON product_id = products.id WHERE stock <> ${STOCK} - coalesce(sold, 0)`;

/** Orders never change once they are made: each of the backup must be in the running shop as it is. */
function differing(live, restored) {
  const database = open(live);
  database.prepare("ATTACH ? AS restored").run(restored);
  const { count } = database
    .prepare("SELECT count(*) AS count FROM (SELECT * FROM restored.orders EXCEPT SELECT * FROM main.orders)")
    .get();
  database.close();
  return count;
}

/** Type, mode, owner, time, size, content, and which names are one file. */
function listing(root, nanosecondsShown) {
  const seen = new Map();
  const lines = [];
  const walk = (name) => {
    const file = Buffer.concat([Buffer.from(root), name]);
    const stats = fs.lstatSync(file, { bigint: true });
    const mode = (Number(stats.mode) & 0o7777).toString(8).padStart(4, "0");
    const owner = `${stats.uid}:${stats.gid}`;
    const time = stats.isSymbolicLink() ? "-" : (stats.mtimeNs / nanosecondsShown).toString();
    const shown = isUtf8(name)
      ? JSON.stringify(name.toString("utf8"))
      : `bytes ${JSON.stringify(name.toString("latin1"))}`;
    lines.push(`${mode} ${owner} ${time} ${contentOf(file, stats, seen, shown)} ${shown}`);
    if (!stats.isDirectory()) return;
    const members = fs.readdirSync(file, { encoding: "buffer" }).sort(Buffer.compare);
    for (const member of members) walk(Buffer.concat([name, Buffer.from("/"), member]));
  };
  walk(Buffer.alloc(0));
  return lines;
}

function contentOf(file, stats, seen, shown) {
  if (stats.isDirectory()) return "directory";
  if (stats.isSymbolicLink()) return `link to ${JSON.stringify(fs.readlinkSync(file))}`;
  const inode = `${stats.dev}:${stats.ino}`;
  const first = seen.get(inode);
  if (first !== undefined) return `hard link of ${first}`;
  if (stats.nlink > 1n) seen.set(inode, shown);
  return `${stats.size} ${createHash("sha256").update(fs.readFileSync(file)).digest("hex")}`;
}

const [action, ...args] = process.argv.slice(2);
const actions = {
  build: () => build(args[0]),
  serve: () => serve(args[0]),
  change: () => change(args[0]),
  orders: () => say(countOrders(args[0])),
  compare: () => {
    process.exitCode = compare(...args) ? 0 : 1;
  },
  listing: () => say(listing(args[0], args[1] === "s" ? 1_000_000_000n : 1n).join("\n")),
};
actions[action]();
