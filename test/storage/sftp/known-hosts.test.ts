import { createHmac } from "node:crypto";
import { expect, test } from "vitest";
import { knownKeys } from "../../../src/storage/sftp/known-hosts.ts";

const KEY = Buffer.from("\0\0\0\u000bssh-ed25519-one", "latin1");
const OTHER = Buffer.from("\0\0\0\u000bssh-ed25519-two", "latin1");
const key = KEY.toString("base64");
const other = OTHER.toString("base64");

function trusted(text: string, host = "backup.example.com", port = 22): readonly Buffer[] {
  return knownKeys(text, host, port).trusted;
}

test.each([
  ["its name", `backup.example.com ssh-ed25519 ${key}`],
  ["its name in other case", `Backup.Example.COM ssh-ed25519 ${key}`],
  ["one of several names", `other,backup.example.com,192.0.2.1 ssh-ed25519 ${key} a comment`],
  ["a pattern", `*.example.com ssh-ed25519 ${key}`],
  ["a pattern for single characters", `backu?.example.com\tssh-ed25519\t${key}`],
  ["a line among others", `# a comment\n\nother ssh-ed25519 ${other}\r\n  backup.example.com ssh-ed25519 ${key}\r\n`],
])("a key is known by %s", (_, text) => {
  expect(trusted(text)).toEqual([KEY]);
});

test.each([
  ["another name", `backup.example.org ssh-ed25519 ${key}`],
  ["a name that contains it", `backup.example.com.evil ssh-ed25519 ${key}`],
  ["a dot taken for any character", `backup-example.com ssh-ed25519 ${key}`],
  ["a name that is excepted", `*.example.com,!backup.example.com ssh-ed25519 ${key}`],
  ["a comment", `# backup.example.com ssh-ed25519 ${key}`],
  ["a certificate authority", `@cert-authority *.example.com ssh-ed25519 ${key}`],
  ["another port", `[backup.example.com]:2222 ssh-ed25519 ${key}`],
  ["a hash of another name", `|1|${Buffer.from("salt").toString("base64")}|AAAA ssh-ed25519 ${key}`],
  ["a broken line", "backup.example.com ssh-ed25519"],
])("no key is known by %s", (_, text) => {
  expect(trusted(text)).toEqual([]);
});

test("a port other than 22 belongs to the name, hashed or not", () => {
  const salt = Buffer.from("some salt");
  const hash = createHmac("sha1", salt).update("[backup.example.com]:2222").digest("base64");
  const text = `|1|${salt.toString("base64")}|${hash} ssh-ed25519 ${key}\n[backup.example.com]:2222 ssh-ed25519 ${other}`;

  expect(trusted(text, "backup.example.com", 2222)).toEqual([KEY, OTHER]);
  expect(trusted(text)).toEqual([]);
});

test("a server may have several keys, of which some are revoked", () => {
  const text = `backup.example.com ssh-ed25519 ${key}\nbackup.example.com ssh-rsa ${other}\n@revoked * ssh-ed25519 ${key}`;

  expect(knownKeys(text, "backup.example.com", 22)).toEqual({ trusted: [KEY, OTHER], revoked: [KEY] });
});
