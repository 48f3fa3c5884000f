import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { parseSource, readSources } from "../scripts/source-tree.ts";
import { violationsOf } from "./helpers/architecture-rules.ts";

const root = join(import.meta.dirname, "..");

test("src keeps to the layers, the bans, the names and the sizes", () => {
  const sources = readSources(root, "src").map((file) => ({ ...file, path: file.path.slice("src/".length) }));

  expect(sources.flatMap(violationsOf)).toEqual([]);
});

describe("the rules refuse", () => {
  test.each([
    ["domain/backup.ts", 'import { run } from "../platform/process.ts";', "domain may import errors.ts"],
    ["errors.ts", 'import type { Backup } from "./domain/backup.ts";', "may import nothing"],
    ["platform/files.ts", 'import { a } from "../domain/backup.ts";', "platform may import errors.ts"],
    ["format/pack.ts", 'import type { Storage } from "../storage/storage.ts";', "format may import"],
    ["engines/files/engine.ts", 'export { a } from "../sqlite/engine.ts";', "adapters never import each other"],
    ["storage/s3/storage.ts", 'import { a } from "../../engines/engine.ts";', "storage may import"],
    ["storage/retry.ts", 'import { a } from "./s3/storage.ts";', "only the registry imports an adapter's folder"],
    ["operations/create.ts", 'import { a } from "../engines/registry.ts";', "operations may import"],
    ["operations/create.ts", 'const a = await import("../storage/s3/storage.ts");', "operations may import"],
    ["operations/create.ts", 'import { a } from "../storage/resilient/quota.ts";', "operations may import"],
    ["storage/s3/storage.ts", 'import { a } from "../resilient/open.ts";', "adapters never import each other"],
    ["storage/network/connections.ts", 'import { a } from "../s3/client.ts";', "adapters never import each other"],
    ["operations/create.ts", 'type A = import("../cli/table.ts").Table;', "operations may import"],
    ["config/load.ts", 'import { a } from "../engines/files/options.ts";', "config may import"],
    ["cli/commands/list.ts", 'import { a } from "../../platform/clock.ts";', "cli may import"],
    ["cli/commands/list.ts", 'import { a } from "../../server/routes.ts";', "cli may import"],
    ["cli/commands/list.ts", 'import { a } from "../../main.ts";', "nothing imports main.ts"],
    ["domain/backup.ts", 'import { a } from "./chain.js";', "relative imports end in .ts"],
    ["domain/backup.ts", 'import data from "../../package.ts";', "outside src/"],
    ["domain/backup.ts", 'import fs from "fs/promises";', "the file system is for"],
    ["engines/postgres/dump.ts", 'import { spawn } from "child_process";', "it is for platform/"],
    ["operations/list.ts", 'import chalk from "chalk";', "it is for cli/"],
    ["domain/age.ts", "const now = Date.now();", "the current time is for platform/clock.ts"],
    ["platform/lock.ts", "const now = new Date();", "the current time is for platform/clock.ts"],
    ["platform/process.ts", "start({ shell: true });", "shell: true is banned"],
    ["platform/process.ts", "start({ shell });", "shell: true is banned"],
    ["cli/render/table.ts", "console.log(1);", "console is banned"],
    ["cli/run.ts", "process.exit(1);", "process.exit is for main.ts"],
    ["storage/local/storage.ts", "await rm(path, { recursive: true });", "recursive rm is for platform/"],
    ["storage/local/storage.ts", "fs.rmSync(path, { recursive: all });", "recursive rm is for platform/"],
    ["domain/backup.ts", "const a = (b as any).c;", "any is banned"],
    ["domain/utils.ts", "", "a file is named after what it does"],
    ["operations/backup-manager.ts", "", "a file is named after what it does"],
    ["services/backup.ts", "", "it is in no layer"],
    ["domain/backup.ts", "\n".repeat(401), "401 lines, the ceiling is 400"],
  ])("%s: %s", (path, text, problem) => {
    expect(violationsOf(parseSource(path, text))).toEqual([expect.stringContaining(problem)]);
  });
});

describe("the rules let pass", () => {
  test.each([
    ["main.ts", 'import { a } from "./engines/registry.ts"; process.exit(a);'],
    ["config/schema.ts", 'import { engines } from "../engines/registry.ts";'],
    ["engines/registry.ts", 'import { files } from "./files/engine.ts";'],
    ["engines/files/engine.ts", 'import type { Engine } from "../engine.ts"; import { a } from "./walk.ts";'],
    ["operations/session.ts", 'import { a } from "../storage/resilient/open.ts";'],
    ["storage/s3/client.ts", 'import { a } from "../network/connections.ts";'],
    ["operations/create.ts", 'import type { Engine } from "../engines/engine.ts"; const at = new Date(0);'],
    ["platform/clock.ts", "export const now = () => new Date();"],
    ["platform/files.ts", 'import { rmSync } from "node:fs"; rmSync(path, { recursive: true });'],
    ["platform/process.ts", 'start({ shell: false }); const text = "console.log(new Date())";'],
    ["storage/local/storage.ts", "await rm(path, { force: true });"],
    ["domain/backup.ts", "\n".repeat(400)],
  ])("%s: %s", (path, text) => {
    expect(violationsOf(parseSource(path, text))).toEqual([]);
  });
});
