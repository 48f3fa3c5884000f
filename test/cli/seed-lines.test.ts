import { describe, expect, test } from "vitest";
import { fullId } from "./fakes.ts";
import { run } from "./harness.ts";

/** Every command line of the seed systems, and every query parameter and field of their interfaces as a command line. */
const ID = fullId;

describe("a seed's line does what it says", () => {
  test.each<[line: string, operation: string, request: object]>([
    ["create --type full", "create", { type: "full" }],
    ["create --type database", "create", { type: "database" }],
    ["create --type files", "create", { type: "files" }],
    ["create --type configuration", "create", { type: "configuration" }],
    ["create --type configurations", "create", { type: "configurations" }],
    ["create --type incremental", "create", { type: "incremental" }],
    ["create --type differential", "create", { type: "differential" }],
    ["create --type files --category media", "create", { type: "files", categories: ["media"] }],
    [
      'create --type full --manual --description "Pre-deployment backup"',
      "create",
      { type: "full", manual: true, description: "Pre-deployment backup" },
    ],
    [
      "create --type full --component database,files,configurations,user_data --retention-days 90",
      "create",
      { components: ["database", "files", "configurations", "user_data"], retentionDays: 90 },
    ],
    [
      "create --type full --encrypt --verify --compress --compression-level 6",
      "create",
      { encrypt: true, verify: true, compress: true, compressionLevel: 6 },
    ],
    ["list", "list", { limit: 20, offset: 0 }],
    ["list --type database --limit 10", "list", { type: "database", limit: 10 }],
    ["list --from 2026-01-01 --to 2026-01-11", "list", { from: "2026-01-01", to: "2026-01-11" }],
    ["list --verbose", "list", { limit: 20 }],
    ["list --type full --status completed", "list", { type: "full", status: "completed" }],
    ["list --type incremental", "list", { type: "incremental" }],
    ["list --type differential", "list", { type: "differential" }],
    ["list --status in_progress", "list", { status: "running" }],
    ["list --status failed", "list", { status: "failed" }],
    ["list --start-date 2026-01-01 --end-date 2026-01-11", "list", { from: "2026-01-01", to: "2026-01-11" }],
    ["list --page 3 --per-page 50", "list", { limit: 50, offset: 100 }],
    ["list --limit 20 --offset 40", "list", { limit: 20, offset: 40 }],
    [`show --backup-id ${ID}`, "show", Object(ID)],
    [`status --backup-id ${ID}`, "status", Object(ID)],
    [
      `restore --type full --backup-id ${ID} --target production --yes`,
      "planRestore",
      { type: "full", reference: ID, target: "production" },
    ],
    [
      `restore --type database --backup-id ${ID} --target production --yes`,
      "planRestore",
      { type: "database", reference: ID, target: "production" },
    ],
    [`restore --type files --backup-id ${ID} --target production --yes`, "planRestore", { type: "files" }],
    [
      'restore --type database --timestamp "2026-01-11T10:30:00Z" --target production --yes',
      "planRestore",
      { type: "database", timestamp: "2026-01-11T10:30:00Z", target: "production" },
    ],
    ["restore --type database --latest", "planRestore", { type: "database", latest: true }],
    [`restore --backup-id ${ID}`, "planRestore", { reference: ID }],
    ['restore --timestamp "2026-01-11T10:30:00Z"', "planRestore", { timestamp: "2026-01-11T10:30:00Z" }],
    [`restore --backup-id ${ID} --dry-run`, "planRestore", { reference: ID }],
    [
      `restore --backup-id ${ID} --component database,files --target-environment staging --yes`,
      "planRestore",
      { components: ["database", "files"], target: "staging" },
    ],
    [
      `restore --backup-id ${ID} --restore-path /restore/files --overwrite-existing --yes`,
      "planRestore",
      { to: "/restore/files", overwrite: true },
    ],
    [
      "restore --point-in-time 2024-01-15T14:30:00Z --drop-existing --yes",
      "planRestore",
      { timestamp: "2024-01-15T14:30:00Z", dropExisting: true },
    ],
    [`verify --backup-id ${ID}`, "verify", { reference: ID, deep: false }],
    ["verify --last 24h", "verify", { lastMs: 86_400_000 }],
    [`verify --backup-id ${ID} --deep`, "verify", { reference: ID, deep: true }],
    [`verify --backup-id ${ID} --component database,files`, "verify", { components: ["database", "files"] }],
    [`download --backup-id ${ID} --to out`, "download", { reference: ID, to: "out" }],
    [`delete --backup-id ${ID} --yes`, "delete", { reference: ID, force: false }],
    [
      `delete --backup-id ${ID} --force --reason "no longer needed" --yes`,
      "delete",
      { reference: ID, force: true, reason: "no longer needed" },
    ],
  ])("%s", async (line, operation, request) => {
    const result = await run(line);

    expect(result.stderr).not.toContain("error:");
    expect(result.exitCode).toBe(0);
    const asked = result.requestOf(operation);
    if (request instanceof String) expect(asked).toBe(String(request));
    else expect(asked).toMatchObject(request);
  });

  test("help", async () => {
    const [byCommand, byFlag, ofCommand] = await Promise.all([run("help"), run("--help"), run("help restore")]);

    expect(byCommand).toMatchObject({ exitCode: 0, stdout: byFlag.stdout });
    expect(ofCommand.stdout).toBe((await run("restore --help")).stdout);
  });
});

test.each([
  "health-check",
  "monitor --watch",
  "report --format pdf --output ./report.pdf",
  "test-restore --type database",
  "test-restore --type full",
  `restore --type granular --backup-id ${ID} --item "products:product-123" --target production`,
])("%s says that it does not exist yet", async (line) => {
  const result = await run(line);

  expect(result.exitCode).toBe(2);
  expect(result.stderr).toMatch(/^error: USAGE: .* does not exist yet\nhint: /);
  expect(result.calls.filter(({ name }) => name !== "close")).toEqual([]);
});

test("the seeds' own spellings are in no help", async () => {
  const helps = await Promise.all(
    ["create", "list", "show", "status", "restore", "verify", "delete", "download"].map((name) => run(`help ${name}`)),
  );

  for (const { stdout } of helps) {
    expect(stdout).not.toMatch(
      /--backup-id|--target-environment|--restore-path|--overwrite-existing|--point-in-time|--start-date|--end-date|--page\b|--per-page|--item/,
    );
  }
});
