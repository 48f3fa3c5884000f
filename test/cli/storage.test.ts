import { describe, expect, test } from "vitest";
import { awayStorage, storageSummary } from "./fakes.ts";
import { run } from "./harness.ts";

describe("storage list", () => {
  test("has a row for each, and exit status 3 with the reason where one is away", async () => {
    const result = await run("storage list", {
      operations: { listStorages: async () => [storageSummary, awayStorage] },
      columns: 120,
    });

    expect(result.exitCode).toBe(3);
    expect(result.stdout).toMatchInlineSnapshot(`
      "Storage  Type   Role     Backups  Pending  Behind since (UTC)  Damaged   Stored  By type                             Free  Place
      main     local  primary       12                                        700 MiB  full 600 MiB, database 100 MiB  50.0 GiB  local:/var/backups/site
      offsite  local  replica       10        2  2026-01-10 02:00          1  700 MiB  full 600 MiB, database 100 MiB      away  local:/mnt/offsite
      "
    `);
    expect(result.stderr).toContain("/mnt/offsite does not exist. If its disk should be mounted there, mount it.");
  });

  test("fits a narrow terminal", async () => {
    const { stdout } = await run("storage list", {
      operations: { listStorages: async () => [storageSummary, awayStorage] },
      columns: 50,
      stdoutTerminal: true,
      env: { NO_COLOR: "1" },
    });

    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(50);
  });
});

describe("storage check", () => {
  test("prints each step as it is known, then the verdict and the settings", async () => {
    const { stdout, exitCode } = await run("storage check main");

    expect(exitCode).toBe(0);
    expect(stdout).toMatchInlineSnapshot(`
      "works   write
      works   latency: 0.2 ms a request
      absent  free space: this service does not tell it

      main (local:/var/backups/site): everything that a backup needs works
      Settings for it, under storages.main:
        checksums: when_required
      "
    `);
  });

  test("ends with 4 where something does not work", async () => {
    const result = await run("storage check main", {
      operations: {
        checkStorage: async ({ name }) => ({
          ...{ name, type: "local", address: "local:/x", settings: [], passed: false },
          results: [{ what: "write", outcome: "fails", detail: "STORAGE_DENIED: no" }],
        }),
      },
    });

    expect(result.exitCode).toBe(4);
    expect(result.stdout).toContain("1 of 1 checks failed");
  });

  test("wants a name", async () => {
    expect(await run("storage check")).toMatchObject({ exitCode: 2 });
  });
});
