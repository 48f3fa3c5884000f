import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import { writeFileSync } from "node:fs";
import * as path from "node:path";
import { expect, it } from "vitest";
import { encodeSha256Sums, parseSha256Sums } from "../../src/format/sha256sums.ts";
import { tempDir } from "../helpers/temp-dir.ts";

const a = "a".repeat(64);
const b = "b".repeat(64);

it("is sorted, and comes back as it was", () => {
  const sums = new Map([
    ["b.tree.zst.00000000", b],
    ["a.tree.zst.00000001", a],
    ["B.x", a],
  ]);
  const bytes = encodeSha256Sums(sums);

  expect(bytes.toString()).toBe(`${a}  B.x\n${a}  a.tree.zst.00000001\n${b}  b.tree.zst.00000000\n`);
  expect(new Map(parseSha256Sums(bytes, "x"))).toEqual(sums);
  expect(parseSha256Sums(encodeSha256Sums(new Map()), "x").size).toBe(0);
});

it("is checked by sha256sum", () => {
  const directory = tempDir();
  const sums = new Map(
    ["app.pgdump.zst.enc.00000000", "app.pgdump.root.zst.enc.00000000"].map((name) => {
      writeFileSync(path.join(directory, name), name);
      return [name, createHash("sha256").update(name).digest("hex")];
    }),
  );
  writeFileSync(path.join(directory, "SHA256SUMS"), encodeSha256Sums(sums));

  expect(
    execFileSync("sha256sum", ["--check", "--strict", "SHA256SUMS"], { cwd: directory, encoding: "utf8" }),
  ).toContain("app.pgdump.zst.enc.00000000: OK");
});

it.each([
  ["no last line break", `${a}  x`],
  ["another separator", `${a} *x\n`],
  ["a short sum", `${a.slice(1)}  x\n`],
  ["a path", `${a}  ../x\n`],
  ["an empty line", `${a}  x\n\n`],
  ["a repeated name", `${a}  x\n${b}  x\n`],
  ["another order", `${a}  y\n${b}  x\n`],
  ["carriage returns", `${a}  x\r\n`],
  ["not ASCII", `${a}  \xe4\n`],
])("with %s is damaged", (_what, text) => {
  expect(() => parseSha256Sums(Buffer.from(text), "database/daily/x")).toThrow(
    expect.objectContaining({
      code: "BACKUP_CORRUPTED",
      message: expect.stringContaining("SHA256SUMS of database/daily/x"),
    }),
  );
});

it("is not written with a name that it could not be read with", () => {
  expect(() => encodeSha256Sums(new Map([["a b", a]]))).toThrow(RangeError);
  expect(() => encodeSha256Sums(new Map([["a", "short"]]))).toThrow(RangeError);
});
