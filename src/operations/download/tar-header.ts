import type { TreeEntry } from "../../format/index-reader.ts";

/**
 * An entry's pax header: what a plain tar header can't say. Names, link texts and attribute values are raw bytes, which is why it is written
 * here and not by the tar library, whose headers are UTF-8 texts.
 */
export function paxHeader(entry: TreeEntry, linkName: Buffer | undefined): Buffer {
  const link = linkName ?? entry.link;
  const names = link === undefined ? [entry.name] : [entry.name, link];
  const records = [
    ...(names.every(isUtf8) ? [] : [record("hdrcharset", "BINARY")]),
    record("path", entry.name),
    ...(link === undefined ? [] : [record("linkpath", link)]),
    record("mtime", seconds(entry.mtimeNs)),
    ...(entry.uid > LARGEST_ID ? [record("uid", String(entry.uid))] : []),
    ...(entry.gid > LARGEST_ID ? [record("gid", String(entry.gid))] : []),
    ...(entry.user === undefined ? [] : [record("uname", entry.user)]),
    ...(entry.group === undefined ? [] : [record("gname", entry.group)]),
    ...Object.entries(entry.attributes ?? {}).map(([name, value]) =>
      record(`SCHILY.xattr.${name}`, Buffer.from(value, "base64")),
    ),
  ];
  const body = Buffer.concat(records);
  return Buffer.concat([extendedHeader(body.length), body, Buffer.alloc((BLOCK - (body.length % BLOCK)) % BLOCK)]);
}

const BLOCK = 512;
/** Six octal digits. */
const LARGEST_ID = 0o777777;
const NAME_BYTES = 100;
const LATEST_SECOND = 2 ** 31 - 1;

/** The plain header's fields, for programs that know no pax: short, ASCII, and in range. */
export function plainHeader(entry: TreeEntry, linkName: Buffer | undefined) {
  const link = linkName ?? entry.link;
  const type: "link" | NonNullable<TreeEntry["type"]> = linkName === undefined ? entry.type : "link";
  const second = Number(entry.mtimeNs / 1_000_000_000n);
  return {
    name: plainName(entry.name),
    type,
    // The library takes a mode of 0 for none; it masks the type's bits away.
    mode: TYPE_BITS | (entry.mode & 0o7777),
    uid: Math.min(entry.uid, LARGEST_ID),
    gid: Math.min(entry.gid, LARGEST_ID),
    size: type === "file" ? entry.size : 0,
    mtime: new Date(Math.min(Math.max(second, 0), LATEST_SECOND) * 1_000),
    ...(link === undefined ? {} : { linkname: plainName(link) }),
  };
}

const TYPE_BITS = 0o100000;

function plainName(name: Buffer): string {
  const text = name.toString("latin1").replace(/[^\x20-\x7e]/g, "_");
  return text.length <= NAME_BYTES ? text : text.slice(-NAME_BYTES);
}

function isUtf8(name: Buffer): boolean {
  return Buffer.from(name.toString("utf8"), "utf8").equals(name);
}

/** `<length> <key>=<value>\\n`, the length counting itself. */
function record(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value), Buffer.from("\n")]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

function seconds(ns: bigint): string {
  const size = ns < 0n ? -ns : ns;
  const fraction = String(size % 1_000_000_000n)
    .padStart(9, "0")
    .replace(/0+$/, "");
  return `${ns < 0n ? "-" : ""}${size / 1_000_000_000n}${fraction === "" ? "" : `.${fraction}`}`;
}

/** The ustar header in front of pax records. */
function extendedHeader(size: number): Buffer {
  const header = Buffer.alloc(BLOCK);
  const octal = (value: number, digits: number): string => `${value.toString(8).padStart(digits, "0")}\0`;
  header.write("PaxHeader", 0);
  header.write(octal(0o644, 7), 100);
  header.write(octal(0, 7), 108);
  header.write(octal(0, 7), 116);
  header.write(octal(size, 11), 124);
  header.write(octal(0, 11), 136);
  header.write("        x", 148);
  header.write("ustar\x0000", 257, "latin1");
  const sum = header.reduce((total, byte) => total + byte, 0);
  header.write(`${sum.toString(8).padStart(6, "0")}\0 `, 148);
  return header;
}
