import { expect, test } from "vitest";
import { childId, cleanupPlan, cleanupResult, fullId } from "./fakes.ts";
import { run } from "./harness.ts";

test("a dry run shows each backup's fate and the reason, and what each storage frees", async () => {
  const { stdout, exitCode } = await run("cleanup --dry-run", { stdoutTerminal: true, env: { NO_COLOR: "1" } });

  expect(exitCode).toBe(0);
  expect(stdout).toMatchInlineSnapshot(`
    "ID        Created (UTC)     Type  Mode      Size          Why
    550e8400  2026-01-11 02:00  full  full  15.0 MiB  keep    daily until 2026-02-10
    660e8400  2025-12-01 02:00  full  full  15.0 MiB  remove  daily, expired 2025-12-31

    Storage               Keeps  Removes  Frees about
    main     1 backup, 15.0 MiB        1     15.0 MiB

    Nothing was removed (--dry-run).
    "
  `);
});

test("a dry run says where a storage differs, and what would be refused", async () => {
  const [main] = cleanupPlan.storages;
  const verdicts = (main?.verdicts ?? []).map((verdict) => ({ ...verdict, keep: true }));
  const text = "backups would go, and max_delete is 20 %";
  const plan = {
    brakes: [{ kind: "max-delete", text }],
    storages: [
      ...cleanupPlan.storages,
      { name: "offsite", verdicts, unasked: { code: "STORAGE_FAILED", message: "no answer" } as const },
    ],
  };

  const options = { operations: { planCleanup: async () => plan }, stdoutTerminal: true, env: { NO_COLOR: "1" } };
  const { stdout } = await run("cleanup --dry-run", options);

  expect(stdout).toMatchInlineSnapshot(`
    "ID        Created (UTC)     Type  Mode      Size  Storage          Why
    550e8400  2026-01-11 02:00  full  full  15.0 MiB  all      keep    daily until 2026-02-10
    660e8400  2025-12-01 02:00  full  full  15.0 MiB  main     remove  daily, expired 2025-12-31
    660e8400  2025-12-01 02:00  full  full  15.0 MiB  offsite  keep    daily, expired 2025-12-31

    Storage                Keeps  Removes  Frees about
    main      1 backup, 15.0 MiB        1     15.0 MiB
    offsite  2 backups, 30.0 MiB        0          0 B

    not known whether anything is locked: storage "offsite": no answer
    refused unless forced: backups would go, and max_delete is 20 %

    Nothing was removed (--dry-run).
    "
  `);
});

test("a cleanup shows what went and why", async () => {
  const { stdout, exitCode, calls } = await run("cleanup", { stdoutTerminal: true, env: { NO_COLOR: "1" } });

  expect(exitCode).toBe(0);
  expect(calls.map(({ name }) => name)).not.toContain("planCleanup");
  expect(stdout).toMatchInlineSnapshot(`
    "ID        Created (UTC)     Type  Mode      Size          Why
    660e8400  2025-12-01 02:00  full  full  15.0 MiB  remove  daily, expired 2025-12-31

    vault: 1 backup archived and verified there
    main: 1 backup removed, 15.0 MiB freed
    "
  `);
});

test("what is locked yet is no failure, and a cleanup says until when", async () => {
  const [main] = cleanupResult.storages;
  if (main === undefined) throw new Error("no storage");
  const locked = [
    { backupId: fullId, until: new Date("2026-02-01T02:00:00Z") },
    { backupId: childId, until: new Date("2026-02-02T02:00:00Z") },
  ];
  const storages = [
    { ...main, locked },
    { ...main, name: "second", removed: [], locked: locked.slice(0, 1) },
  ];

  const options = { operations: { cleanup: async () => ({ ...cleanupResult, storages }) } };
  const { exitCode, stdout, stderr } = await run("cleanup", options);
  const json = JSON.parse((await run("cleanup --json", options)).stdout);

  expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: "" });
  expect(stdout).toContain(
    "main: 1 backup removed, 15.0 MiB freed; 2 backups that would go stay locked, until 2026-02-02 02:00:00 UTC at the latest\n" +
      "second: nothing removed; 1 backup that would go stays locked, until 2026-02-01 02:00:00 UTC at the latest\n",
  );
  expect(json.storages[1].locked).toEqual([{ backup_id: fullId, until: "2026-02-01T02:00:00.000Z" }]);
});

test("a storage that was away is said to be left out, in an archive without an exit status", async () => {
  const [main] = cleanupResult.storages;
  if (main === undefined) throw new Error("no storage");
  const vault = { ...main, name: "vault", leftOut: true, removed: [], bytes: 0 };
  const cleanup = { cleanup: async () => ({ ...cleanupResult, storages: [main, vault] }) };

  const { exitCode, stdout } = await run("cleanup", { operations: cleanup });
  const json = JSON.parse((await run("cleanup --json", { operations: cleanup })).stdout);

  expect(exitCode).toBe(0);
  expect(stdout).toContain("vault: left out, since it is away: not looked at\n");
  expect(json.storages).toMatchObject([{ left_out: false }, { name: "vault", left_out: true }]);
});

test("what stayed against the plan is warned about, and is exit status 3", async () => {
  const error = { code: "RETENTION_POLICY_VIOLATION", message: "it is locked until 2030", hint: "Wait." } as const;
  const [main] = cleanupResult.storages;
  const storages = main === undefined ? [] : [{ ...main, notRemoved: [{ backupId: childId, error }] }];

  const { exitCode, stderr } = await run("cleanup", {
    operations: { cleanup: async () => ({ ...cleanupResult, storages }) },
  });

  expect(exitCode).toBe(3);
  expect(stderr).toBe('warning: storage "main": it is locked until 2030. Wait.\n');
});

test("what holds for several backups is said once, and names its storage once", async () => {
  const [main] = cleanupResult.storages;
  if (main === undefined) throw new Error("no storage");
  const error = { code: "STORAGE_FAILED", message: 'what was to move to archive "vault" stays' } as const;
  const notRemoved = [fullId, childId].map((backupId) => ({ backupId, error }));
  const failure = { code: "STORAGE_NOT_FOUND", message: 'storage "second": /x does not exist' } as const;
  const storages = [
    { ...main, notRemoved },
    { ...main, name: "second", failure },
  ];

  const { stderr } = await run("cleanup", { operations: { cleanup: async () => ({ ...cleanupResult, storages }) } });

  expect(stderr).toBe(
    'warning: storage "main": what was to move to archive "vault" stays.\nwarning: storage "second": /x does not exist.\n',
  );
});

test("a simulation shows some days of each storage", async () => {
  const { stdout, calls } = await run("cleanup --simulate 180d", { stdoutTerminal: true, env: { NO_COLOR: "1" } });

  expect(calls.find(({ name }) => name === "simulateCleanup")?.request).toBe(180 * 86_400_000);
  expect(stdout).toMatchInlineSnapshot(`
    "If nightly always succeeds, with backups as large as the last ones, and tidy cleans up:

    main        Backups  Full   Stored  Oldest
    2026-01-12        1     1  977 KiB  2026-01-11
    2026-01-13        2     2  1.9 MiB  2026-01-11
    2026-01-14        3     3  2.9 MiB  2026-01-11
    At most 2.9 MiB, on 2026-01-14.

    No incremental backup was made yet, so those count nothing in what is stored: look again when there are some.

    Cleanup is refused from 2026-01-13 on: 5 of 20 backups in storage "main" would go, 25 %, and max_delete is 20 %. Clean up more often, or raise retention.max_delete.

    What a bucket keeps locked is not counted: where offsite has such locks, more stays there.
    "
  `);
  for (const span of ["20y", "0d", "23h"])
    expect(await run(`cleanup --simulate ${span}`)).toMatchObject({ exitCode: 2 });
});
