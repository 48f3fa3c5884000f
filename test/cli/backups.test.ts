import { stripVTControlCharacters } from "node:util";
import { describe, expect, test } from "vitest";
import { BackupctlError } from "../../src/errors.ts";
import type { BackupSummary } from "../../src/operations/operations.ts";
import {
  backup,
  childId,
  createPlan,
  createResult,
  details,
  fakeConfig,
  fullId,
  progress,
  replicateResult,
  runStatus,
  verification,
} from "./fakes.ts";
import { run } from "./harness.ts";

describe("create", () => {
  test("says on standard error what it is going to do, and on standard output what it did", async () => {
    const create = async ({ onPlan }: { readonly onPlan?: ((plan: typeof createPlan) => void) | undefined }) => {
      onPlan?.(createPlan);
      return createResult;
    };

    const result = await run("create --mode incremental", { operations: { create } });

    expect(result.exitCode).toBe(0);
    expect(result.stderr).toContain("full backup, full, class daily, to main");
    expect(result.stderr).toContain("1 source, about 1.0 KiB, about 20 s; zstd 3, encrypted");
    expect(result.stderr).toContain("full instead of incremental: no full backup exists yet");
    expect(result.stdout).toContain(`backup ${fullId} completed in 42 s: 50.0 MiB, 15.0 MiB stored`);
    expect(result.stdout).toMatch(/shop +completed +1\.0 KiB/);
  });

  test("says why it builds on an older backup, and what it can't estimate", async () => {
    const plan = { ...createPlan, mode: "incremental" as const, requestedMode: "incremental" as const };
    const planCreate = async () => ({ ...plan, estimatedBytes: 0, uncertain: true, modeReason: "550e lacks shop" });

    const { stdout } = await run("create --mode incremental --dry-run", { operations: { planCreate } });

    expect(stdout).toContain("not on the newest: 550e lacks shop");
    expect(stdout).toContain("1 source, size and time unknown; zstd 3");
  });

  const broken = { code: "TOOL_FAILED" as const, message: "pg_dump exited with code 1", hint: "See its log." };
  const [source] = createResult.sources;
  test.each([
    ["partial", { ...createResult, backup: { ...backup, status: "partial" as const } }, 3],
    ["completed with errors", { ...createResult, backup: { ...backup, status: "completed_with_errors" as const } }, 3],
    ["failed", { ...createResult, backup: { ...backup, status: "failed" as const } }, 1],
    ["pending in a storage", { ...createResult, storages: [{ name: "main", state: "pending" }] }, 3],
  ])("exits with its own status when it is %s", async (_name, answer, exitCode) => {
    const options = { operations: { create: async () => answer } };

    expect((await run("create", options)).exitCode).toBe(exitCode);
    expect((await run("create --json", options)).exitCode).toBe(exitCode);
  });

  test("names what failed, what could not be read, and how many more", async () => {
    if (source === undefined) throw new Error("no source");
    const unreadable = Array.from({ length: 12 }, (_, index) => `/srv/file-${index}`);
    const sources = [
      { ...source, status: "failed" as const, error: broken },
      { ...source, name: "uploads", status: "completed_with_errors" as const, unreadable },
    ];
    const create = async () => ({ ...createResult, backup: { ...backup, status: "partial" as const }, sources });

    const { stderr } = await run("create", { operations: { create } });

    expect(stderr).toContain('warning: source "shop" failed: TOOL_FAILED: pg_dump exited with code 1. See its log.');
    expect(stderr).toContain('warning: source "uploads" could not read /srv/file-9');
    expect(stderr).toContain('warning: source "uploads" could not read 2 more entries');
    expect(stderr).not.toContain("file-10");
  });

  test("says that nothing changed, and exits with 0", async () => {
    const create = async () => ({ ...createResult, created: false, backup: undefined });

    const text = await run("create --if-changed", { operations: { create } });
    const json = await run("create --if-changed --json", { operations: { create } });

    expect(text).toMatchObject({ exitCode: 0, stdout: "Nothing changed since the last backup: none was made.\n" });
    expect(json.json()).toMatchObject({ created: false, backup_id: null });
  });

  test("shows the plan alone with --dry-run", async () => {
    const result = await run("create --dry-run");

    expect(result.calls.map(({ name }) => name)).toEqual(["planCreate", "close"]);
    expect(result.stdout).toContain("Nothing was stored (--dry-run).");
  });

  test("says nothing at all with --quiet when all is well", async () => {
    expect(await run("create -q")).toMatchObject({ exitCode: 0, stdout: "", stderr: "" });
  });
});

describe("list", () => {
  const many = async ({ limit, offset }: { readonly limit: number; readonly offset: number }) => ({
    backups: Array.from({ length: Math.min(limit, 672 - offset) }, () => backup),
    total: 672,
    limit,
    offset,
  });

  test("calls what is not proven unverified, but not a run under way, which has nothing to prove yet", async () => {
    const running = { ...backup, status: "running" as const, sizeBytes: undefined };
    const listOf = (one: BackupSummary) => async () => ({ backups: [one], total: 1, limit: 20, offset: 0 });
    const outputs = await Promise.all(
      [backup, running].flatMap((one) =>
        ["list", "list -v"].map((line) => run(line, { operations: { list: listOf({ ...one, trusted: false }) } })),
      ),
    );

    expect(outputs.map(({ stdout }) => /unverified|could not be verified/.test(stdout))).toEqual([
      true,
      true,
      false,
      false,
    ]);
  });

  test("says of one that is not encrypted that nothing proves it, and asks for no key", async () => {
    const plain = { ...backup, trusted: false, encrypted: false };
    const { stdout } = await run("list -v", {
      operations: { list: async () => ({ backups: [plain], total: 1, limit: 20, offset: 0 }) },
    });

    expect(stdout).toContain("it is not encrypted, and no configured key proves");
    expect(stdout).not.toContain("is the key missing");
  });

  test("shows 20 rows, says of how many, and how to see the next", async () => {
    const { stdout } = await run("list", { operations: { list: many } });

    expect(stdout.match(new RegExp(fullId, "g"))).toHaveLength(20);
    expect(stdout).toContain("20 of 672 backups; the next: --offset 20");
  });

  test("says where it is, and where there is nothing more", async () => {
    const last = await run("list --offset 660", { operations: { list: many } });
    const beyond = await run("list --offset 700", {
      operations: { list: async (request) => ({ ...(await many(request)), backups: [] }) },
    });

    expect(last.stdout).toContain("661 to 672 of 672 backups\n");
    expect(beyond.stdout).toContain("Nothing after the first 700: there are 672 backups.");
  });

  test("tells an empty repository from a filter that nothing fits", async () => {
    const list = async () => ({ backups: [], total: 0, limit: 20, offset: 0 });

    expect((await run("list", { operations: { list } })).stdout).toContain("`backupctl create` makes one");
    expect((await run("list --tag x", { operations: { list } })).stdout).toBe("No backup matches.\n");
  });

  test("warns each time of backups that lack files", async () => {
    const list = async () => ({
      ...{ total: 2, limit: 20, offset: 0 },
      backups: [backup, { ...backup, id: childId, status: "completed_with_errors" as const }],
    });

    const text = await run("list", { operations: { list } });
    const json = await run("list --json", { operations: { list } });

    expect(text.stderr).toContain("warning: 1 backup has unreadable files");
    expect(text.stderr).toContain("backupctl show 660e8400");
    expect(json.stderr).toBe("");
  });

  test.each([40, 60, 80, 120, 200])("fits a terminal of %i columns, with short ids", async (columns) => {
    const { stdout } = await run("list --no-color", { terminal: true, columns });

    for (const line of stdout.split("\n")) expect(line.length).toBeLessThanOrEqual(columns);
    expect(stdout).toContain("550e8400 ");
    expect(stdout).not.toContain(fullId);
  });

  test("leaves nothing out where it does not write to a terminal", async () => {
    const { stdout } = await run("list");

    expect(stdout).toContain(fullId);
    expect(stdout).toContain("nightly, #auto, #production");
  });

  test("shows a paragraph for each with --verbose", async () => {
    const { stdout } = await run("list -v");

    expect(stdout).toContain("kept until 2026-02-10 02:00:00 UTC");
    expect(stdout).toMatch(/host +web-1/);
  });

  test("prints the configuration's warnings, as JSON lines with --json", async () => {
    const config = fakeConfig(["`sources` is left out"]);

    expect((await run("list", { config })).stderr).toBe("warning: `sources` is left out\n");
    const json = await run("list --json", { config });
    expect(json.stderr).toBe('{"warning":"`sources` is left out"}\n');
    expect(json.json()).toMatchObject({ total: 1 });
  });
});

test("what comes from outside can neither drive the terminal nor forge a line", async () => {
  const evil = "x\u001b[2J\nerror: forged\u202e\u{e0041}";
  const hostile = { ...backup, description: evil, host: evil, tags: [evil] };
  const operations = {
    list: async () => ({ backups: [hostile], total: 1, limit: 20, offset: 0 }),
    show: async () => ({ ...details, ...hostile }),
  };

  for (const line of ["list", "list -v", "show latest"]) {
    const { stdout } = await run(line, { operations });
    expect(stdout).toContain("x\\x1b[2J\\x0aerror: forged\\u202e\\u{e0041}");
    expect(stdout).not.toContain("\u001b");
    expect(stdout).not.toContain("\u202e");
  }
  const json = await run("list --json", { operations });
  expect(json.stdout).not.toMatch(/[\u202e\u{e0041}]/u);
  expect(json.json()).toMatchObject({ backups: [{ description: evil }] });
});

test("show has the source's contents, the copies, the trust and the lineage", async () => {
  const { stdout, exitCode } = await run("show latest");

  expect(exitCode).toBe(0);
  expect(stdout).toMatch(/copies +main complete/);
  expect(stdout).toMatch(/verified +passed: full, 2026-01-11 03:00:00 UTC/);
  expect(stdout).toMatch(/restored +1 time, last/);
  expect(stdout).toMatch(/needed by +660e8400/);
  expect(stdout).toContain("3 tables, 120 rows");
  expect(stdout).toContain("the clock went back");
});

describe("status", () => {
  test("of a running backup has every field", async () => {
    const { stdout } = await run("status");

    expect(stdout).toMatch(/held by +process 4711 on web-1/);
    expect(stdout).toMatch(/phase +backing up files/);
    expect(stdout).toMatch(/progress +65 %, 3\.3 GiB of 5\.0 GiB, 2\.0 MiB\/s/);
    expect(stdout).toMatch(/files +1234 of 1523/);
    expect(stdout).toMatch(/time left +15 min 45 s/);
    expect(stdout).toMatch(/done +database backup/);
    expect(stdout).toMatch(/to come +verification/);
  });

  test("of a run that came to its end is 100 percent, of one that failed unknown", async () => {
    const percentOf = async (ended: "partial" | "failed") => {
      const status = async () => ({ ...runStatus, status: ended, progress: undefined, holder: undefined });
      return JSON.parse((await run("status --json", { operations: { status } })).stdout).progress_percent;
    };

    expect([await percentOf("partial"), await percentOf("failed")]).toEqual([100, null]);
  });

  test("says that a dead holder is dead", async () => {
    const status = async () => ({
      ...runStatus,
      status: "interrupted" as const,
      holder: { pid: 4711, host: "web-1", alive: false },
    });

    const { stdout } = await run("status", { operations: { status } });

    expect(stdout).toContain("interrupted");
    expect(stdout).toContain("which is dead");
  });
});

describe("verify", () => {
  const damaged = {
    ...verification,
    backupId: childId,
    passed: false,
    checks: { ...verification.checks, file_integrity: "failed" as const },
    issues: ['object full/daily/x/shop.000 of source "shop" is damaged'],
  };

  test("shows each check by its name", async () => {
    const { stdout, exitCode } = await run("verify latest");

    expect(exitCode).toBe(0);
    expect(stdout).toContain("passed   checksum validation");
    expect(stdout).toContain("skipped  restore comparison");
  });

  test("exits with 4 on damage, and prints it with --quiet too", async () => {
    const verify = async () => ({ backups: [verification, damaged], passed: false });

    const result = await run("verify --all -q", { operations: { verify } });

    expect(result.exitCode).toBe(4);
    expect(result.stdout).toContain("FAILED   file integrity");
    expect(result.stdout).toContain("issue: object full/daily/x/shop.000");
    expect(result.stdout).toContain("1 of 2 backups FAILED");
  });
});

describe("delete", () => {
  const protections = [
    { kind: "retention" as const, backupId: fullId, text: "is kept until 2026-02-10 by retention", forcible: true },
  ];
  const planDelete = async () => ({ backups: [backup], protections, bytesFreed: 1024, locked: [], unasked: [] });

  test("lists what goes, asks, and deletes after a yes", async () => {
    const yes = await run("delete 550e8400 --no-color", { terminal: true, answers: [true] });
    const no = await run("delete 550e8400 --no-color", { terminal: true, answers: [false] });

    expect(yes.questions).toEqual(["Delete 1 backup for good?"]);
    expect(yes).toMatchObject({ exitCode: 0, stdout: "deleted 1 backup, 1.0 KiB freed\n" });
    expect(yes.stderr).toContain("deletes 1 backup, frees about 1.0 KiB");
    expect(no.exitCode).toBe(2);
    expect(no.stderr).toContain("error: NOT_CONFIRMED");
    expect(no.requestOf("delete")).toBeUndefined();
  });

  test("says what stays locked, and until when", async () => {
    const locked = [{ storage: "wall", bytes: 2048, until: new Date("2026-02-01T02:00:00Z") }];
    const unasked = [{ storage: "away", code: "STORAGE_FAILED" as const, message: "no answer" }];
    const plan = async () => ({ backups: [backup], protections: [], bytesFreed: 0, locked, unasked });
    const result = async () => ({ deleted: [fullId], bytesFreed: 0, locked, deletedAt: "2026-01-11T12:00:00.000Z" });

    const planned = await run("delete 550e8400 --dry-run --no-color", { operations: { planDelete: plan } });
    const plannedJson = await run("delete 550e8400 --dry-run --json", { operations: { planDelete: plan } });
    const { stdout } = await run("delete 550e8400 --yes", { operations: { delete: result } });
    const json = await run("delete 550e8400 --yes --json", { operations: { delete: result } });

    expect(planned.stdout).toContain(
      "  wall: 2.0 KiB stay as old versions, locked until 2026-02-01 02:00:00 UTC, and are paid for until they are removed after that\n" +
        '  not known whether anything is locked: storage "away": no answer\n',
    );
    expect(JSON.parse(plannedJson.stdout)).toMatchObject({
      locked: [{ storage: "wall", bytes: 2048, until: "2026-02-01T02:00:00.000Z" }],
      locks_unknown: unasked,
    });
    expect(stdout).toBe(
      "deleted 1 backup, 0 B freed\n" +
        "wall: 2.0 KiB stay as old versions, locked until 2026-02-01 02:00:00 UTC, and are paid for until they are removed after that\n",
    );
    expect(JSON.parse(json.stdout)).toMatchObject({
      space_freed_bytes: 0,
      locked: [{ storage: "wall", bytes: 2048, until: "2026-02-01T02:00:00.000Z" }],
    });
  });

  test("does nothing without a terminal unless --yes is given", async () => {
    const refused = await run("delete 550e8400");

    expect(refused.exitCode).toBe(2);
    expect(refused.stderr).toContain("add --yes");
    expect(refused.requestOf("delete")).toBeUndefined();
    expect((await run("delete 550e8400 --yes")).exitCode).toBe(0);
  });

  test("is refused before it asks, and --yes does not lift what protects the backup", async () => {
    const options = { operations: { planDelete }, terminal: true };

    for (const line of ["delete 550e8400", "delete 550e8400 --yes"]) {
      const result = await run(line, options);
      expect(result.exitCode).toBe(14);
      expect(result.stderr).toContain("RETENTION_POLICY_VIOLATION");
      expect(result.questions).toEqual([]);
      expect(result.requestOf("delete")).toBeUndefined();
    }
    const forced = await run('delete 550e8400 --force --reason "gdpr" --yes', options);
    expect(forced.exitCode).toBe(0);
  });

  test("only shows with --dry-run, protections included", async () => {
    const result = await run("delete 550e8400 --dry-run", { operations: { planDelete } });

    expect(result.exitCode).toBe(0);
    expect(result.stdout).toContain("is kept until 2026-02-10 by retention (needs --force --reason)");
    expect(result.requestOf("delete")).toBeUndefined();
  });
});

describe("download", () => {
  test("writes to a folder and names the files", async () => {
    const result = await run("download latest --to out");

    expect(result.requestOf("download")).toMatchObject({ to: "out", write: undefined });
    expect(result.stdout).toContain("out/shop.pgdump  1.0 KiB\nwrote 1 file\n");
  });

  test("writes bytes alone to standard output", async () => {
    const download = async ({ write }: { readonly write?: ((bytes: Uint8Array) => Promise<void>) | undefined }) => {
      await write?.(Buffer.from("dump"));
      return { backupId: fullId, files: [], warnings: [] };
    };

    for (const line of ["download latest", "download latest --to -"]) {
      expect((await run(line, { operations: { download } })).stdout).toBe("dump");
    }
  });

  test("is what a restore to standard output does", async () => {
    const result = await run("restore 5f64f4c1 --source shop --to -");

    expect(result.requestOf("download")).toMatchObject({ reference: "5f64f4c1", sources: ["shop"], to: undefined });
    expect(result.requestOf("restore")).toBeUndefined();
    for (const option of ["--overwrite", "--drop-existing", "--skip-damaged", "--dry-run", "--type files"]) {
      const refused = await run(`restore latest --to - ${option}`);
      expect(refused.exitCode).toBe(2);
      expect(refused.stderr).toContain(`${option.split(" ")[0]} has no meaning`);
    }
  });

  test("does not write bytes to a terminal, nor with --json", async () => {
    for (const [line, terminal] of [
      ["download latest", true],
      ["download latest --json", false],
    ] as const) {
      const result = await run(line, { terminal });
      expect(result.exitCode).toBe(2);
      expect(result.stderr).toContain("Add --to DIR");
      expect(result.requestOf("download")).toBeUndefined();
    }
  });
});

describe("replicate", () => {
  const storage = replicateResult.storages[0];
  const withStorage = (changes: Partial<typeof storage>, all: Partial<typeof replicateResult> = {}) =>
    ({
      operations: { replicate: async () => ({ ...replicateResult, ...all, storages: [{ ...storage, ...changes }] }) },
    }) as never;
  const lag = { backups: 2, bytes: 2048, oldest: "2026-01-11T11:30:45.000Z" };
  const notCopied = (code: string) => [
    { backupId: fullId, error: { code, message: "no copy is good", hint: "Look." } },
  ];

  test("asks for what the options say, and shows what was copied", async () => {
    const result = await run("replicate 550e8400 --to offsite,vault --from main");

    expect(result.requestOf("replicate")).toMatchObject({
      reference: "550e8400",
      to: ["offsite", "vault"],
      from: "main",
      dryRun: false,
    });
    expect(result.stdout).toMatch(/Storage +State +Copied +Sent +Lacks/);
    expect(result.stdout).toMatch(/offsite +complete +1 +3.3 GiB +0/);
  });

  test("shows in a dry run how far behind each storage is, and exits with 0", async () => {
    const result = await run("replicate --dry-run", withStorage({ lag }, { dryRun: true }));

    expect(result.exitCode).toBe(0);
    expect(result.stdout).toMatch(/offsite +behind +2 +2.0 KiB +2026-01-11 11:30:45/);
    expect(result.stdout).toContain("Nothing was copied");
  });

  test.each([
    ["something is lacking", { lag, notCopied: notCopied("PARTIALLY_DONE") }, 3, "no copy is good. Look."],
    ["a storage failed", { failure: { code: "STORAGE_FAILED", message: "the line is cut" } }, 3, "the line is cut."],
    ["every copy is damaged", { lag, notCopied: notCopied("BACKUP_CORRUPTED") }, 4, "no copy is good. Look."],
    ["much is lacking", { lag, notCopied: Array(25).fill(notCopied("PARTIALLY_DONE")[0]) }, 3, "and 5 more backups"],
  ])("exits with another status when %s", async (_, changes, exitCode, problem) => {
    const result = await run("replicate", withStorage(changes as never));

    expect(result.exitCode).toBe(exitCode);
    expect(result.stderr).toContain(problem);
  });
});

describe("the small ones", () => {
  test("hold and unhold", async () => {
    const held = await run('hold 550e8400 --reason "legal case"');

    expect(held.requestOf("hold")).toEqual(["550e8400", "legal case"]);
    expect(held.stdout).toBe(`backup ${fullId} is on hold: legal case\n`);
    expect((await run("unhold 550e8400")).stdout).toBe(`backup ${fullId} is no longer on hold\n`);
  });

  test("catalog rebuild exits with 4 when metadata is damaged", async () => {
    const rebuildCatalog = async () => ({
      found: 2,
      unverified: 0,
      unfinished: 0,
      damaged: ["full/x: no"],
      seconds: 1,
    });

    expect((await run("catalog rebuild")).stdout).toContain("found 3 backups in 0.4 s: 1 unverified, 0 unfinished");
    const damaged = await run("catalog rebuild", { operations: { rebuildCatalog } });
    expect(damaged.exitCode).toBe(4);
    expect(damaged.stderr).toContain("warning: full/x: no\n");
  });

  test("init works where there is no configuration, and says what to keep", async () => {
    const loadConfig = async () => {
      throw new BackupctlError("CONFIG_NOT_FOUND", "none");
    };

    const result = await run("init -c my.yaml --storage-path /var/b", { loadConfig });

    expect(result.exitCode).toBe(0);
    expect(result.requestOf("init")).toEqual({ configPath: "my.yaml", storagePath: "/var/b" });
    expect(result.stdout).toContain("Copy the key to a safe place now");
  });

  test("init writes the configuration that BACKUPCTL_CONFIG names", async () => {
    const result = await run("init", { env: { BACKUPCTL_CONFIG: "/etc/b.yaml" } });

    expect(result.requestOf("init")).toMatchObject({ configPath: "/etc/b.yaml" });
  });

  test("init does not write over a broken configuration", async () => {
    const loadConfig = async () => {
      throw new BackupctlError("CONFIG_INVALID", "broken");
    };

    const result = await run("init", { loadConfig });

    expect(result.exitCode).toBe(2);
    expect(result.requestOf("init")).toBeUndefined();
  });

  test("config show never opens a storage, and has no secret", async () => {
    const text = await run("config show");
    const json = await run("config show --json");

    expect(text.calls).toEqual([]);
    expect(text.stdout).toContain("# /site/backup.config.yaml\nversion: 1\n");
    expect(text.stdout).toContain('key: "***"');
    expect(json.json()).toMatchObject({ config: { name: "shop.example" } });
  });

  test("config schema is JSON Schema", async () => {
    expect((await run("config schema")).json()).toMatchObject({ title: "backupctl configuration", type: "object" });
  });
});

test.each([
  ["pending", "absent", 3],
  ["away", "away", 3],
  ["locked", "locked", 12],
  [undefined, "FAILED", 4],
] as const)("verify of what is %s, for a reader %s, ends with %d", async (unseen, verdict, exitCode) => {
  const verify = async () => ({
    backups: [verification, { ...verification, backupId: childId, passed: false, unseen }],
    passed: false,
  });

  const plain = await run("verify --all", { operations: { verify } });
  const json = await run("verify --all --json", { operations: { verify } });

  expect(plain.exitCode).toBe(exitCode);
  expect(plain.stdout).toContain(`1 of 2 backups ${verdict}`);
  expect(json.json()).toMatchObject({ backups: [{}, { verification_status: unseen ?? "failed" }] });
});

test("a long operation tells how far it is, once a minute where there is no terminal", async () => {
  const verify = async ({ onProgress }: { readonly onProgress?: ((at: typeof progress) => void) | undefined }) => {
    // The harness's clock goes on by a second with each look.
    for (let second = 0; second < 130; second += 1) onProgress?.(progress);
    return { backups: [verification], passed: true };
  };

  const plain = await run("verify latest", { operations: { verify } });

  expect(plain.stderr.split("\n").filter((line) => line.includes("65 %"))).toHaveLength(2);
  for (const line of ["verify latest -q", "verify latest --json"]) {
    expect((await run(line, { operations: { verify } })).stderr).toBe("");
  }
});

test("nothing is drawn on a terminal that says it has no columns", async () => {
  const verify = async ({ onProgress }: { readonly onProgress?: ((at: typeof progress) => void) | undefined }) => {
    onProgress?.(progress);
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { backups: [verification], passed: true };
  };

  const result = await run("verify latest --no-color", { operations: { verify }, terminal: true, columns: 0 });

  expect(result).toMatchObject({ exitCode: 0, stderr: "" });
});

test("on a terminal progress is drawn on standard error only, and gone at the end", async () => {
  const verify = async ({ onProgress }: { readonly onProgress?: ((at: typeof progress) => void) | undefined }) => {
    onProgress?.(progress);
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { backups: [verification], passed: true };
  };

  const result = await run("verify latest --no-color", { operations: { verify }, terminal: true, columns: 80 });

  expect(result.stderr).toContain("backing up files  65 %");
  expect(result.stdout).not.toContain("65 %");
});

test("the line that is drawn leaves room for the ^C that a terminal adds to it", async () => {
  const verify = async ({ onProgress }: { readonly onProgress?: ((at: typeof progress) => void) | undefined }) => {
    onProgress?.({ ...progress, bytesTotal: undefined, secondsRemaining: undefined, activity: "x".repeat(200) });
    await new Promise((resolve) => setTimeout(resolve, 200));
    return { backups: [verification], passed: true };
  };

  const { stderr } = await run("verify latest --no-color", { operations: { verify }, terminal: true, columns: 80 });

  const drawn = stripVTControlCharacters(stderr).split(/[\r\n\u2800-\u28ff]/);
  // The spinner's own column is not in it.
  expect(Math.max(...drawn.map((line) => line.length))).toBe(80 - 1 - "^C".length - 1);
});

test("verify of several copies of one backup counts copies", async () => {
  const second = { ...verification, storage: "second" };
  const sound = async () => ({ backups: [verification, second], passed: true });
  const damaged = async () => ({ backups: [verification, { ...second, passed: false }], passed: false });

  expect((await run("verify latest", { operations: { verify: sound } })).stdout).toContain("2 copies passed");
  expect((await run("verify latest", { operations: { verify: damaged } })).stdout).toContain("1 of 2 copies FAILED");
});
