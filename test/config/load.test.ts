import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { loadConfig } from "../../src/config/load.ts";
import { tempDir } from "../helpers/temp-dir.ts";
import { failureOf, KEY, loadText, MINIMAL, variable } from "./helpers.ts";

const named = (name: string) => `${MINIMAL}name: ${name}\n`;

describe("finding the configuration", () => {
  it("takes --config before $BACKUPCTL_CONFIG before the folder before the user's own", async () => {
    const cwd = tempDir();
    mkdirSync(join(cwd, "home/.config/backupctl"), { recursive: true });
    mkdirSync(join(cwd, "xdg/backupctl"), { recursive: true });
    const write = (file: string) => writeFileSync(join(cwd, file), named(file.replaceAll("/", "-")));
    const home = { HOME: join(cwd, "home") };
    const nameWith = async (env: Record<string, string>, path?: string) =>
      (await loadConfig({ cwd, env, ...(path === undefined ? {} : { path }) })).config.name;

    write("home/.config/backupctl/config.yaml");
    expect(await nameWith(home)).toBe("home-.config-backupctl-config.yaml");
    write("xdg/backupctl/config.yaml");
    expect(await nameWith({ ...home, XDG_CONFIG_HOME: join(cwd, "xdg") })).toBe("xdg-backupctl-config.yaml");
    write("backup.config.yml");
    expect(await nameWith(home)).toBe("backup.config.yml");
    write("backup.config.yaml");
    expect(await nameWith(home)).toBe("backup.config.yaml");
    write("by-variable.yaml");
    expect(await nameWith({ ...home, BACKUPCTL_CONFIG: "by-variable.yaml" })).toBe("by-variable.yaml");
    write("by-flag.yaml");
    expect(await nameWith({ ...home, BACKUPCTL_CONFIG: "by-variable.yaml" }, "by-flag.yaml")).toBe("by-flag.yaml");
  });

  it("says how to get one where there is none", async () => {
    const cwd = tempDir();

    const failure = await failureOf(loadConfig({ cwd, env: { HOME: cwd } }));

    expect(failure).toMatchObject({
      code: "CONFIG_NOT_FOUND",
      exitCode: 2,
      hint: expect.stringContaining("backupctl init"),
    });
    expect(failure.message).toContain(join(cwd, "backup.config.yaml"));
  });

  it("does not fall back to another file when the one asked for is missing", async () => {
    const cwd = tempDir();
    writeFileSync(join(cwd, "backup.config.yaml"), MINIMAL);

    const failure = await failureOf(
      loadConfig({ cwd, env: { BACKUPCTL_CONFIG: "nowhere.yaml", BACKUP_STORAGE_PATH: "/b" } }),
    );

    expect(failure).toMatchObject({ code: "CONFIG_NOT_FOUND", message: expect.stringContaining("BACKUPCTL_CONFIG") });
  });
});

describe("what a configuration means", () => {
  it("fills in every default", async () => {
    const { config, strict, warnings } = await loadText(MINIMAL);

    expect(config).toMatchObject({
      version: 1,
      timezone: "UTC",
      storages: [{ name: "main", type: "local", role: "primary" }],
      encryption: { enabled: true, required: false, keys: [{ name: "site", provider: "local" }] },
      compression: { algorithm: "zstd", level: 1 },
      sources: [],
      chain: { maxChain: 100, fullEvery: { amount: 7, unit: "d" } },
      verify: { onCreate: true },
      retention: {
        incremental: { amount: 7, unit: "d" },
        daily: { amount: 30, unit: "d" },
        weekly: { amount: 12, unit: "w" },
        monthly: { amount: 12, unit: "mo" },
        yearly: undefined,
        snapshots: { amount: 90, unit: "d" },
        manual: "forever",
        maxDeletePercent: 20,
      },
      restore: { maxGap: { amount: 15, unit: "m" } },
    });
    expect([strict, warnings]).toEqual([true, []]);
  });

  it("shows the compression level that is in force", async () => {
    const level = async (text: string) => (await loadText(`${MINIMAL}${text}`)).shown().compression;

    expect(await level("")).toEqual({ algorithm: "zstd", level: 1 });
    expect(await level("compression: { algorithm: gzip }")).toEqual({ algorithm: "gzip", level: 6 });
    expect(await level("compression: { algorithm: none }")).toEqual({ algorithm: "none" });
  });

  it("makes the first storage without a role the primary, and lists it first", async () => {
    const { config } = await loadText(
      "encryption: { enabled: false }\nstorages:\n  far: { type: local, path: /a, role: archive }\n  near: { type: local, path: /b }\n  also: { type: local, path: /c }",
    );

    expect(config.storages.map(({ name, role }) => `${name} ${role}`)).toEqual([
      "near primary",
      "far archive",
      "also replica",
    ]);
  });

  it("starts relative paths at the file's folder and ~ at the home, also in targets", async () => {
    const directory = tempDir();
    const loaded = await loadText(
      `${MINIMAL}state_dir: state\nsources:\n  www: { engine: files, paths: [www, ~/mail, /srv] }\n  app: { engine: sqlite, path: app.db }\ntargets: { there: { sources: { app: { path: other/app.db } } } }`,
      { directory, env: { HOME: "/home/op" }, cwd: "/", path: join(directory, "backup.config.yaml") },
    );

    expect(loaded.config.stateDir).toBe(join(directory, "state"));
    expect(await loaded.resolveSource("www")).toMatchObject({
      paths: [join(directory, "www"), "/home/op/mail", "/srv"],
    });
    expect(await loaded.resolveStorage("main")).toEqual({ path: join(directory, "backups") });
    expect(await loaded.resolveTarget("there", "app")).toEqual({ path: join(directory, "other/app.db") });
    expect(await loaded.resolveTarget("there", "www")).toEqual({});
  });

  it("takes the state directory of BACKUPCTL_STATE_DIR before the file's", async () => {
    const directory = tempDir();
    const loaded = await loadText(`${MINIMAL}state_dir: state\n`, {
      directory,
      env: { HOME: "/home/op", BACKUPCTL_STATE_DIR: "elsewhere" },
      cwd: "/srv",
      path: join(directory, "backup.config.yaml"),
    });

    expect(loaded.config.stateDir).toBe("/srv/elsewhere");
  });

  it("makes numbers and booleans of variables where they are wanted, and text where not", async () => {
    const loaded = await loadText(
      `${MINIMAL}name: ${variable("N")}
workers: ${variable("N")}
verify: { on_create: "${variable("B")}" }
sources: { www: { engine: files, paths: [/a], one_file_system: "${variable("B")}" } }`,
      { env: { HOME: "/", N: "7", B: "false" } },
    );

    expect(loaded.config).toMatchObject({ name: "7", workers: 7, verify: { onCreate: false } });
    expect(await loaded.resolveSource("www")).toMatchObject({ one_file_system: false });
  });

  it("takes defaults of variables, also where the variable is empty, and leaves escaped ones alone", async () => {
    const { config } = await loadText(
      `${MINIMAL}tags: ["${variable("A:-one")}", "${variable("B:-two")}", "$${variable("C")}"]`,
      { env: { HOME: "/", B: "" } },
    );

    expect(config.tags).toEqual(["one", "two", variable("C")]);
  });

  it("knows anchors, merges and sections whose lines are all commented out", async () => {
    const { config } = await loadText(
      `${MINIMAL}sources:\n  a: &a { engine: sqlite, path: /a }\n  b: { <<: *a, path: /b }\ntargets:\n#  x:\n`,
    );

    expect(config.sources.map(({ name, component }) => `${name} ${component}`)).toEqual(["a database", "b database"]);
  });

  it("keeps components and categories of the user's own", async () => {
    const { config } = await loadText(
      `${MINIMAL}sources:\n  a: { engine: sqlite, path: /a, component: user_data }\n  b: { engine: files, paths: [/b], category: media }`,
    );

    expect(config.sources).toEqual([
      { name: "a", engine: "sqlite", component: "user_data", category: undefined },
      { name: "b", engine: "files", component: "files", category: "media" },
    ]);
  });
});

const NOBODY = { onSuccess: [], onFailure: [] };

describe("schedules", () => {
  it("have times of their own zone or the configuration's, and what they leave to their job", async () => {
    const { config, shown } = await loadText(`${MINIMAL}timezone: Europe/Berlin
schedules:
  daily_incremental: { type: incremental, cron: "0 2 * * *", components: [database], retention_days: 30 }
  site: { frequency: daily, time: "02:00", timezone: UTC, enabled: false }
  check: { operation: verify, every: sunday, at: "04:00", backups: 7d }
`);

    expect(config.schedules).toEqual([
      {
        ...{ name: "daily_incremental", enabled: true, operation: "create" },
        timing: { cron: "0 2 * * *", timezone: "Europe/Berlin" },
        options: { type: "incremental", components: ["database"], retention_days: 30 },
        notify: NOBODY,
      },
      {
        ...{ name: "site", enabled: false, operation: "create", options: {} },
        timing: { cron: "0 2 * * *", timezone: "UTC" },
        notify: NOBODY,
      },
      {
        ...{ name: "check", enabled: true, operation: "verify", options: { backups: "7d" } },
        timing: { cron: "0 4 * * 0", timezone: "Europe/Berlin" },
        notify: NOBODY,
      },
    ]);
    expect(shown()).toMatchObject({ schedules: { check: { operation: "verify", backups: "7d", deep: false } } });
  });
});

describe("secrets", () => {
  const key = (options: string) =>
    `storages: { main: { type: local, path: /b } }\nencryption: { keys: { site: { provider: local, ${options} } } }`;

  it("come from a file, less one newline, when the key is used", async () => {
    const directory = tempDir();
    const loaded = await loadText(key("key_file: key"), { directory });
    writeFileSync(join(directory, "key"), `${KEY}\n`, { mode: 0o600 });

    expect(loaded.secrets.size).toBe(0);
    expect(await loaded.resolveKey("site")).toEqual({ key: KEY });
    expect([...loaded.secrets]).toEqual([KEY]);
  });

  it.each([
    ["a list of arguments", "key_command: [printf, 'a b\\n\\n']", "a b\n"],
    ["a text split at its spaces", "key_command: echo  x y", "x y"],
  ])("come from a command given as %s", async (_, option, expected) => {
    const loaded = await loadText(key(option), { env: { HOME: "/", PATH: process.env.PATH } });

    expect(await loaded.resolveKey("site")).toEqual({ key: expected });
  });

  it("involve no shell", async () => {
    const loaded = await loadText(key("key_command: echo $HOME;id"));

    expect(await loaded.resolveKey("site")).toEqual({ key: "$HOME;id" });
  });

  it.each([
    ["a missing file", "key_file: nowhere", "nowhere does not exist"],
    ["a folder", "key_file: .", "is a directory"],
    ["a failing command", "key_command: [sh, -c, 'echo SECRET; exit 3']", "sh exited with code 3"],
    ["a command that prints nothing", "key_command: ['true']", "gave nothing"],
    ["a command that does not exist", "key_command: [no-such-program-here]", "was not found"],
  ])("%s is ENCRYPTION_KEY_NOT_FOUND naming the option", async (_, option, message) => {
    const loaded = await loadText(key(option));

    const failure = await failureOf(loaded.resolveKey("site"));

    expect(failure).toMatchObject({ code: "ENCRYPTION_KEY_NOT_FOUND", exitCode: 12, hint: expect.any(String) });
    expect(failure.message).toContain("encryption.keys.site.key_");
    expect(failure.message).toContain(message);
    expect(failure.message).not.toContain("SECRET");
  });

  it("of other things that can't be had are CONFIG_INVALID", async () => {
    const loaded = await loadText(`${MINIMAL}sources: { d: { engine: postgres, password_file: /nowhere/pw } }`);

    expect(await failureOf(loaded.resolveSource("d"))).toMatchObject({
      code: "CONFIG_INVALID",
      hint: expect.stringContaining("/nowhere/pw"),
    });
  });

  it("in a file that everybody may read are warned about", async () => {
    const directory = tempDir();
    const warnings: string[] = [];
    writeFileSync(join(directory, "key"), KEY);
    chmodSync(join(directory, "key"), 0o644);
    const loaded = await loadText(key("key_file: key"), { directory, warn: (message) => warnings.push(message) });

    await loaded.resolveKey("site");

    expect(warnings).toEqual([expect.stringContaining(`chmod 600 ${join(directory, "key")}`)]);
  });

  it("are *** wherever the configuration is shown, and known to the redactor", async () => {
    const loaded = await loadText(
      `${MINIMAL}sources:\n  d: { engine: postgres, url: "postgres://u:p%40ss-word@h/d" }\n  c: { engine: command, command: [x], env: { API_TOKEN: tok-en, APP_ENV: production } }\ntargets: { t: { sources: { d: { password: other-password } } } }`,
    );

    const shown = JSON.stringify(loaded.shown());

    for (const secret of [KEY, "p%40ss-word", "p@ss-word", "tok-en", "other-password"]) {
      expect(shown).not.toContain(secret);
      expect([...loaded.secrets]).toContain(secret);
    }
    expect([...loaded.secrets]).not.toContain("production");
    expect(shown).toContain('"API_TOKEN":"***"');
    expect(loaded.shown()).toMatchObject({ encryption: { keys: { site: { key: "***" } } }, chain: { max_chain: 100 } });
  });

  it.each([
    ["AccountName=example;AccountKey=c2VjcmV0a2V5==;EndpointSuffix=core.windows.net", "c2VjcmV0a2V5=="],
    ["BlobEndpoint=https://a.example.org/;SharedAccessSignature=sv=2026&sig=c2ln%2Fbg%3D&se=2027", "c2ln/bg="],
    [
      String.raw`{"type": "service_account", "private_key": "-----BEGIN\nMIIEv==\n-----END\n"}`,
      "-----BEGIN\nMIIEv==\n-----END\n",
    ],
  ])("are known to the redactor in their parts too: %s", async (secret, part) => {
    const directory = tempDir();
    writeFileSync(join(directory, "secret"), secret, { mode: 0o600 });
    const loaded = await loadText(key("key_file: secret"), { directory });

    await loaded.resolveKey("site");

    expect([...loaded.secrets]).toEqual(expect.arrayContaining([secret, part]));
  });

  it.each([
    ["resolveStorage", "STORAGE_NOT_FOUND"],
    ["resolveKey", "ENCRYPTION_KEY_NOT_FOUND"],
    ["resolveSource", "SOURCE_NOT_FOUND"],
  ] as const)("%s of an unknown name says what there is", async (resolve, code) => {
    const loaded = await loadText(`${MINIMAL}sources: { sitee: { engine: sqlite, path: /a } }`);

    expect(await failureOf(Promise.resolve().then(() => loaded[resolve]("sitex")))).toMatchObject({
      code,
      hint: expect.stringMatching(/main|site/),
    });
  });
});

describe("a policy of retention", () => {
  it.each([
    ["retention: {}", "retention: is empty; leave it out for the defaults"],
    ["retention:\n#  daily: 60d", "retention: is empty; leave it out for the defaults"],
    ["retention:\n  daily:", "retention: is empty; leave it out for the defaults"],
    ["retention:\n  daily: 30d\n  storages:", "retention.storages: is empty; leave it out for the common rules"],
    ["retention:\n  daily: 30d\n  storages: {main: {}}", "retention.storages.main: is empty"],
    ["retention:\n  daily: 30d\n  storages:\n    main:", "retention.storages.main: "],
    ["schedules: {n: {every: day, at: '02:00', retention_days: }}", "schedules.n.retention_days: is empty"],
  ])("that says nothing is refused, since it may mean anything: %j", async (policy, message) => {
    const failure = await failureOf(loadText(`${MINIMAL}${policy}\n`));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
  });
});

describe("rescue mode", () => {
  it("leaves out what is wrong outside storages and encryption, and warns of each", async () => {
    const text = `${MINIMAL}sources:\n  bad: { engine: sqlite, pth: /a }\n  good: { engine: sqlite, path: /b }\nretention: { daily: 1d }\nworkers: "${variable("NOT_SET")}"\nsorces: {}\n`;

    const loaded = await loadText(text, { mode: "rescue" });

    expect(loaded.strict).toBe(false);
    expect(loaded.config.sources.map((source) => source.name)).toEqual(["good"]);
    expect(loaded.config.workers).toBeUndefined();
    expect(loaded.config.retention.daily).toEqual({ amount: 30, unit: "d" });
    expect(loaded.warnings.length).toBe(5);
    for (const part of ["workers", "sources.bad.path", "sources.bad.pth", "sorces", "retention.daily"])
      expect(loaded.warnings.join("\n")).toContain(part);
    expect(await loaded.resolveKey("site")).toEqual({ key: KEY });
  });

  it("leaves out the one schedule and the one notifier that are wrong, and no other", async () => {
    const notifiers = "notifiers:\n  bad: { type: pigeon }\n  ops: { type: webhook, url: https://ops.example.org }\n";
    const schedules =
      "schedules:\n  wrong: { every: sometimes }\n  deaf: { every: hour, notify: { on_failure: [bad] } }\n  good: { every: hour, notify: { on_failure: [ops] } }\n";

    const loaded = await loadText(`${MINIMAL}${notifiers}${schedules}`, { mode: "rescue" });

    expect(loaded.config.schedules.map(({ name }) => name)).toEqual(["good"]);
    expect(loaded.config.notifiers.map(({ name }) => name)).toEqual(["ops"]);
    for (const part of ["schedules.wrong.every", "schedules.deaf.notify", "notifiers.bad.type"])
      expect(loaded.warnings.join("\n")).toContain(part);
  });

  it("goes on where only a rule between options is broken", async () => {
    const loaded = await loadText(`${MINIMAL}retention: { daily: 1d }\n`, { mode: "rescue" });

    expect(loaded.warnings).toEqual([expect.stringContaining("retention.daily")]);
  });

  it.each([
    ["storages", MINIMAL.replace("local, path", "locl, path")],
    ["encryption", MINIMAL.replace("site: {", "site: { keyy: a,")],
  ])("still refuses what is wrong in %s", async (_, text) => {
    expect(await failureOf(loadText(text, { mode: "rescue" }))).toMatchObject({ code: "CONFIG_INVALID" });
  });
});

describe("the environment alone", () => {
  const load = (env: Record<string, string>, mode: "strict" | "rescue" = "strict") =>
    loadConfig({ cwd: "/srv", env: { HOME: "/nowhere", ...env }, mode });
  const base = { BACKUP_STORAGE_PATH: "./backups", BACKUP_ENCRYPTION_KEY: KEY };

  it("is a whole configuration with storage and key", async () => {
    const loaded = await load({
      ...base,
      BACKUP_FILES_PATHS: "/a:b",
      SQLITE_PATH: "app.db",
      DATABASE_URL: "postgres://u:pw-in-url@h/d",
    });

    expect(loaded.origin).toBe("environment");
    expect(await loaded.resolveStorage("local")).toEqual({ path: "/srv/backups" });
    expect(await loaded.resolveKey("default")).toEqual({ key: KEY });
    expect(loaded.config.sources.map(({ name, engine }) => `${name} ${engine}`)).toEqual([
      "files files",
      "sqlite sqlite",
      "database postgres",
    ]);
    expect(await loaded.resolveSource("files")).toEqual({ paths: ["/a", "/srv/b"] });
    expect([...loaded.secrets]).toContain("pw-in-url");
  });

  it("takes limits by count and by days, with chains that fit", async () => {
    const { config } = await load({ ...base, MAX_BACKUPS: "10", BACKUP_RETENTION_DAYS: "6" });

    expect(config.storages[0]?.retention.maxBackups).toBe(10);
    expect(config.retention).toMatchObject({
      daily: { amount: 6, unit: "d" },
      incremental: { amount: 72, unit: "h" },
    });
    expect(config.chain.fullEvery).toEqual({ amount: 72, unit: "h" });
  });

  it("warns of what it understands and can't do yet", async () => {
    const { warnings } = await load({
      ...base,
      MONGODB_URI: "mongodb://x",
      DATABASE_URL: "mysql://x",
    });

    expect(warnings.map((warning) => warning.split(" ")[0])).toEqual(["MONGODB_URI", "DATABASE_URL"]);
  });

  it("has a replica in a bucket, with the login that AWS programs would take", async () => {
    const loaded = await load({
      ...base,
      AWS_S3_BUCKET: "site-backups",
      AWS_REGION: "eu-central-1",
      AWS_ACCESS_KEY_ID: "an-access-key-id",
      AWS_SECRET_ACCESS_KEY: "a-secret-access-key",
    });

    expect(loaded.warnings).toEqual([]);
    expect(loaded.config.storages.map(({ name, role }) => `${name} ${role}`)).toEqual(["local primary", "s3 replica"]);
    expect(await loaded.resolveStorage("s3")).toEqual({
      bucket: "site-backups",
      region: "eu-central-1",
      access_key_id: "an-access-key-id",
      secret_access_key: "a-secret-access-key",
    });
    expect([...loaded.secrets]).toContain("a-secret-access-key");
  });

  it("leaves half a login in a bucket's environment to the AWS SDK", async () => {
    const env = { ...base, AWS_S3_BUCKET: "b", AWS_ACCESS_KEY_ID: "id", AWS_ENDPOINT_URL: "https://s3.example.org" };

    expect(await (await load(env)).resolveStorage("s3")).toEqual({ bucket: "b", endpoint: "https://s3.example.org" });
  });

  it("has a nightly schedule where automatic backups are switched on", async () => {
    const { config, warnings } = await load({ ...base, ENABLE_AUTO_BACKUP: "true" });

    expect(warnings).toEqual([]);
    expect(config.schedules).toEqual([
      {
        ...{ name: "auto", enabled: true, operation: "create", options: {} },
        timing: { cron: "0 2 * * *", timezone: "UTC" },
        notify: NOBODY,
      },
    ]);
    expect((await load({ ...base, ENABLE_AUTO_BACKUP: "false" })).config.schedules).toEqual([]);
  });

  it.each([
    [{ BACKUP_STORAGE_PATH: "/b" }, "BACKUP_ENCRYPTION_KEY: is not set"],
    [{ ...base, BACKUP_ENCRYPTION_KEY: "SECRET" }, "BACKUP_ENCRYPTION_KEY: must be 64 hex digits"],
    [{ ...base, BACKUP_ENCRYPTION_KEY_FILE: "/k" }, "one too many"],
    [{ ...base, MAX_BACKUPS: "-1" }, "MAX_BACKUPS: must be a whole number"],
  ])("%j is refused", async (env, message) => {
    const failure = await failureOf(load(env));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
    expect(failure.message).not.toContain("SECRET");
  });
});
