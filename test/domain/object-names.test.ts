import { describe, expect, it } from "vitest";
import {
  artifactName,
  backupDirectory,
  directoryFacts,
  isName,
  numberedName,
  packName,
  parseArtifactName,
  parseBackupDirectory,
  parseNumberedName,
  parsePackName,
  roleOf,
  splitObjectKey,
} from "../../src/domain/object-names.ts";
import { backupId } from "./builders.ts";

describe("a backup's directory", () => {
  const path = "database/daily/2026-01-11/full-02-00-00-550e8400";

  it("says its backup's time, and no other path does", () => {
    expect(directoryFacts(path)).toMatchObject({ mode: "full", timestamp: "2026-01-11T02:00:00.000Z" });
    expect(() => directoryFacts("database/daily")).toThrow("database/daily is not the directory of a backup");
  });

  it("is named after type, class, UTC time, mode and id", () => {
    const directory = backupDirectory({
      type: "database",
      category: "daily",
      mode: "full",
      timestamp: "2026-01-11T03:00:00.999+01:00",
      id: backupId(0x550e8400),
    });

    expect(directory).toBe(path);
    expect(parseBackupDirectory(path)).toEqual({
      type: "database",
      category: "daily",
      date: "2026-01-11",
      mode: "full",
      time: "02-00-00",
      idPrefix: "550e8400",
    });
  });

  it.each([
    "database/daily/2026-01-11/full-02-00-00-550e840",
    "database/daily/2026-01-11/full-02-00-00-550E8400",
    "database/daily/2026-02-30/full-02-00-00-550e8400",
    "database/daily/2026-01-11/full-25-00-00-550e8400",
    "database/hourly/2026-01-11/full-02-00-00-550e8400",
    "database/daily/2026-01-11/partial-02-00-00-550e8400",
    "../daily/2026-01-11/full-02-00-00-550e8400",
    "a/database/daily/2026-01-11/full-02-00-00-550e8400",
    `${path}/`,
    `${path}\n`,
    "",
  ])("can't be %j", (text) => {
    expect(parseBackupDirectory(text)).toBeUndefined();
  });

  it("is what comes before an object's name", () => {
    expect(splitObjectKey(`${path}/metadata.json`)).toEqual({ directory: path, name: "metadata.json" });
    expect(splitObjectKey("recovery/recover.mjs")).toBeUndefined();
    expect(splitObjectKey("backupctl.json")).toBeUndefined();
  });
});

describe("artifacts and packs", () => {
  it.each([
    [{ source: "app", kind: "pgdump", part: "data", compression: "zstd", encrypted: true }, "app.pgdump.zst.enc"],
    [{ source: "app", kind: "pgdump", part: "index", compression: "gzip", encrypted: false }, "app.pgdump.index.gz"],
    [{ source: "web-1", kind: "tree", part: "root", compression: "none", encrypted: true }, "web-1.tree.root.raw.enc"],
    [{ source: "index", kind: "root", part: "data", compression: "none", encrypted: false }, "index.root.raw"],
  ] as const)("of %j are named %s", (artifact, name) => {
    expect(artifactName(artifact)).toBe(name);
    expect(parseArtifactName(name)).toEqual(artifact);
    expect(parsePackName(packName(name, 12))).toEqual({ name, artifact, packNumber: 12 });
    expect(roleOf(packName(name, 0))).toBe("pack");
  });

  it.each([
    "app.zst",
    "app.pgdump",
    "app.pgdump.zip",
    "App.pgdump.zst",
    "a.b.c.zst",
    "a.b.index.root.zst",
    ".tree.raw",
    "app.pgdump.enc.zst",
    "",
  ])("are not named %j", (name) => {
    expect(parseArtifactName(name)).toBeUndefined();
    expect(parsePackName(`${name}.00000000`)).toBeUndefined();
  });

  it("number up to 99999999 in eight digits", () => {
    expect(packName("app.pgdump.raw", 99_999_999)).toBe("app.pgdump.raw.99999999");
    for (const wrong of [-1, 1.5, 100_000_000]) expect(() => packName("app.pgdump.raw", wrong)).toThrow(RangeError);
    expect(parsePackName("app.pgdump.raw.1")).toBeUndefined();
    expect(parsePackName("app.pgdump.raw.000000001")).toBeUndefined();
  });
});

describe("the other objects", () => {
  it.each([
    ["metadata.json", "metadata"],
    ["SHA256SUMS", "sums"],
    ["deleted.json", "deleted"],
    ["keys-0-0a1b2c3d.json", "keys"],
    ["notes-12-0a1b2c3d.json", "notes"],
    ["notes-012-0a1b2c3d.json", "unknown"],
    ["keys-1-0A1B2C3D.json", "unknown"],
    [".part-1234", "unknown"],
    ["constructor", "unknown"],
  ])("%s is %s", (name, role) => {
    expect(roleOf(name)).toBe(role);
  });

  it("are numbered, with the writer's own mark", () => {
    const name = { family: "keys", n: 3, writer: "0a1b2c3d" } as const;

    expect(numberedName(name)).toBe("keys-3-0a1b2c3d.json");
    expect(parseNumberedName("keys-3-0a1b2c3d.json")).toEqual(name);
    expect(() => numberedName({ ...name, n: -1 })).toThrow(RangeError);
    expect(() => numberedName({ ...name, writer: "x" })).toThrow(RangeError);
  });
});

it.each([
  ["app", true],
  ["0-a_b", true],
  ["a".repeat(64), true],
  ["a".repeat(65), false],
  ["-a", false],
  ["A", false],
  ["a.b", false],
  ["ä", false],
  ["a\n", false],
  ["", false],
])("the name %j is valid: %s", (name, valid) => {
  expect(isName(name)).toBe(valid);
});
