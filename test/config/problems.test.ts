import { describe, expect, it } from "vitest";
import { failureOf, KEY, loadText, MINIMAL, variable } from "./helpers.ts";

interface Case {
  readonly name: string;
  readonly text: string;
  readonly problems: readonly { path: string; line: number | null; message: string; suggestion?: string }[];
}

const LINES = MINIMAL.trimEnd().split("\n").length;

/** `text` begins below the minimal configuration, so its first line is number LINES + 1. */
const CASES: readonly Case[] = [
  {
    name: "an unknown section",
    text: "sorces: {}",
    problems: [{ path: "sorces", line: 1, message: "unknown key", suggestion: "sources" }],
  },
  {
    name: "a schedule of no known operation",
    text: 'schedules:\n  night:\n    operation: verfy\n    cron: "0 2 * * *"',
    problems: [{ path: "schedules.night.operation", line: 3, message: '"verfy" is not known', suggestion: "verify" }],
  },
  {
    name: "a schedule's option of another operation",
    text: 'schedules:\n  night:\n    cron: "0 2 * * *"\n    deep: true',
    problems: [{ path: "schedules.night.deep", line: 4, message: "unknown key" }],
  },
  {
    name: "a cron expression that means nothing, in the file's line",
    text: 'schedules:\n  night:\n    cron: "0 25 * * *"',
    problems: [{ path: "schedules.night.cron", line: 3, message: "0-23" }],
  },
  {
    name: "schedules that say no time, or two",
    text: 'schedules:\n  a: { mode: full }\n  b: { cron: "@daily", every: day, at: "02:00" }\n  c: { every: 7m }\n  d: { cron: "@daily", time: "02:00" }',
    problems: [
      { path: "schedules.a.cron", line: 2, message: "is missing; say when with cron, every or frequency" },
      { path: "schedules.b.at", line: 3, message: "exclude each other" },
      { path: "schedules.c.every", line: 4, message: "7 does not divide the 60 minutes of an hour" },
      { path: "schedules.d.time", line: 5, message: "means nothing with cron" },
    ],
  },
  {
    name: "an unknown option of an engine, and the one that is missing by it",
    text: "sources:\n  app:\n    engine: sqlite\n    pth: a.db",
    problems: [
      { path: "sources.app.path", line: 2, message: "is missing" },
      { path: "sources.app.pth", line: 4, message: "unknown key", suggestion: "path" },
    ],
  },
  {
    name: "an unknown key that resembles nothing lists what is known",
    text: "verify: { completely: true }",
    problems: [{ path: "verify.completely", line: 1, message: "unknown key; known here: on_create" }],
  },
  {
    name: "an unknown engine",
    text: "sources:\n  app: { engine: sqllite, path: a.db }",
    problems: [{ path: "sources.app.engine", line: 2, message: '"sqllite" is not known here', suggestion: "sqlite" }],
  },
  {
    name: "a source without an engine",
    text: "sources:\n  app: { path: a.db }",
    problems: [{ path: "sources.app.engine", line: 2, message: "is missing; known: files, sqlite" }],
  },
  {
    name: "a source's name that could not be part of an object's name",
    text: "sources:\n  My App: { engine: sqlite, path: a.db }",
    problems: [{ path: "sources.My App", line: 2, message: "must be lowercase letters" }],
  },
  {
    name: "text for a number",
    text: "workers: two",
    problems: [{ path: "workers", line: 1, message: "must be a number, not text" }],
  },
  {
    name: "too many workers",
    text: "workers: 1000",
    problems: [{ path: "workers", line: 1, message: "must be at most 64" }],
  },
  {
    name: "a part of a number where it is to be whole",
    text: "workers: 1.5",
    problems: [{ path: "workers", line: 1, message: "must be a whole number" }],
  },
  {
    name: "text for a list",
    text: "tags: production",
    problems: [{ path: "tags", line: 1, message: "must be a list, not text" }],
  },
  {
    name: "a wrong choice",
    text: "compression: { algorithm: zst }",
    problems: [{ path: "compression.algorithm", line: 1, message: "must be zstd or gzip or none", suggestion: "zstd" }],
  },
  {
    name: "verify.on_create that is neither true, false nor full",
    text: "verify:\n  on_create: sometimes",
    problems: [{ path: "verify.on_create", line: 2, message: "must be true or false or full" }],
  },
  {
    name: "a gzip level of zstd's range",
    text: "compression:\n  algorithm: gzip\n  level: 12",
    problems: [{ path: "compression.level", line: 3, message: "must be 1 to 9 for gzip" }],
  },
  {
    name: "something that is not a duration",
    text: "retention:\n  daily: 3days",
    problems: [{ path: "retention.daily", line: 2, message: '"3days" is not a duration' }],
  },
  {
    name: "a wait that never ends",
    text: "chain: { full_every: forever }",
    problems: [{ path: "chain.full_every", line: 1, message: "can't be forever" }],
  },
  {
    name: "a period of no length",
    text: "orphan_grace: 0d",
    problems: [{ path: "orphan_grace", line: 1, message: "must be longer than 0" }],
  },
  {
    name: "an unknown time zone",
    text: "timezone: Europe/Berln",
    problems: [{ path: "timezone", line: 1, message: "is not an IANA time zone" }],
  },
  {
    name: "a key given twice",
    text: "name: a\nname: b",
    problems: [{ path: "name", line: 2, message: "is given twice" }],
  },
  {
    name: "a variable that is not set",
    text: `sources:\n  www:\n    engine: files\n    paths:\n      - /srv\n      - ${variable("WWW_ROOT")}`,
    problems: [{ path: "sources.www.paths.1", line: 6, message: "the environment variable WWW_ROOT is not set" }],
  },
  {
    name: "something that only looks like a variable",
    text: `name: ${variable("a b")}`,
    problems: [{ path: "name", line: 1, message: "is not a variable" }],
  },
  {
    name: "a password in two forms",
    text: "sources:\n  db: { engine: postgres, database: x, password: a,\n    password_file: /b }",
    problems: [{ path: "sources.db.password_file", line: 3, message: "is one too many beside password" }],
  },
  {
    name: "an engine's own rule between two options",
    text: "sources:\n  db:\n    engine: postgres\n    database: x\n    databases: all",
    problems: [{ path: "sources.db.databases", line: 5, message: "database and databases exclude each other" }],
  },
  {
    name: "a copy demanded in a storage that there is not",
    text: "create:\n  require: [main, mian]",
    problems: [{ path: "create.require.1", line: 2, message: 'there is no storage "mian"', suggestion: "main" }],
  },
  {
    name: "a target for a source that does not exist",
    text: "sources:\n  shop: { engine: sqlite, path: a }\ntargets:\n  staging:\n    sources:\n      shp: { path: /b }",
    problems: [
      { path: "targets.staging.sources.shp", line: 6, message: "there is no such source", suggestion: "shop" },
    ],
  },
  {
    name: "a target that changes what the engine does not have",
    text: "sources:\n  shop: { engine: sqlite, path: a }\ntargets:\n  staging:\n    sources:\n      shop: { paht: /b }",
    problems: [{ path: "targets.staging.sources.shop.paht", line: 6, message: "unknown key", suggestion: "path" }],
  },
  {
    name: "a program that no engine runs",
    text: "tools: { pg_dmup: /usr/bin/pg_dump }",
    problems: [{ path: "tools.pg_dmup", line: 1, message: "no engine runs such a program", suggestion: "pg_dump" }],
  },
  {
    name: "a source with nothing below it",
    text: "sources:\n  shop:\n  # engine: sqlite",
    problems: [{ path: "sources.shop", line: 2, message: "must be a map of options, not nothing" }],
  },
  {
    name: "a component named like everything or a mode",
    text: "sources:\n  a: { engine: sqlite, path: /a, component: full }\n  b: { engine: sqlite, path: /b, component: incremental }",
    problems: [
      { path: "sources.a.component", line: 2, message: "create --type" },
      { path: "sources.b.component", line: 3, message: "create --type" },
    ],
  },
  {
    name: "a name that objects take in silence",
    text: "sources:\n  __proto__: { engine: sqlite, path: /a }",
    problems: [{ path: "sources.__proto__", line: 2, message: "is not a name" }],
  },
  {
    name: "a list and a text without content",
    text: 'name: ""\nsources:\n  www: { engine: files, paths: [] }',
    problems: [
      { path: "name", line: 1, message: "must not be empty" },
      { path: "sources.www.paths", line: 3, message: "must not be empty" },
    ],
  },
  {
    name: "a period without a unit",
    text: "retention: { daily: 30 }",
    problems: [{ path: "retention.daily", line: 1, message: "must be a number and a unit, such as 30d" }],
  },
  {
    name: "full backups that are kept shorter than what hangs from them",
    text: "retention:\n  daily: 10d",
    problems: [{ path: "retention.daily", line: 2, message: "is 10 days, shorter than a chain lives" }],
  },
  {
    name: "a period in minutes that was meant in months",
    text: "retention:\n  monthly: 3m",
    problems: [
      { path: "retention.monthly", line: 2, message: "is 3 minutes, shorter than a chain lives", suggestion: "3mo" },
    ],
  },
];

describe("a configuration with a problem is refused", () => {
  it.each(CASES)("$name", async ({ text, problems }) => {
    const failure = await failureOf(loadText(`${MINIMAL}${text}\n`));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", exitCode: 2 });
    expect(failure.data?.problems).toEqual(
      problems.map(({ path, line, message, suggestion }) => ({
        path,
        line: line === null ? null : line + LINES,
        column: expect.any(Number),
        message: expect.stringContaining(message),
        suggestion: suggestion ?? null,
      })),
    );
    const shown = [failure.message, ...failure.lines].join("\n");
    for (const { path, suggestion } of problems) {
      expect(shown).toContain(path);
      if (suggestion !== undefined) expect(shown).toContain(`did you mean "${suggestion}"?`);
    }
  });

  it.each([
    ["no storage at all", "encryption: { enabled: false }", "no storage is configured"],
    [
      "two primaries",
      "encryption: { enabled: false }\nstorages:\n  a: { type: local, path: /a, role: primary }\n  b: { type: local, path: /b, role: primary }",
      "only one storage can be the primary, and a is it",
    ],
    [
      "nothing but a replica",
      "encryption: { enabled: false }\nstorages: { a: { type: local, path: /a, role: replica } }",
      "role: primary",
    ],
    [
      "a copy demanded in an archive",
      "encryption: { enabled: false }\nstorages:\n  a: { type: local, path: /a }\n  b: { type: local, path: /b, role: archive }\ncreate: { require: [b] }",
      '"b" is an archive, which create does not write to',
    ],
    [
      "encryption without a key",
      "storages: { a: { type: local, path: /a } }",
      "encryption is on and no key is configured",
    ],
    [
      "a key without a secret",
      "storages: { a: { type: local, path: /a } }\nencryption: { keys: { k: { provider: local } } }",
      "give key, key_file or key_command",
    ],
    ["a list instead of sections", "- a\n- b", "must be a map of sections"],
    ["text that is not YAML", 'a: "b\n', "not valid YAML"],
    ["a tag that nothing here resolves", "name: !include secret.yaml", "tag: !include"],
    ["two documents in one file", "name: a\n---\nname: b", "a second document begins here"],
    ["an alias to nothing", "name: *nobody", "nobody"],
  ])("%s", async (_, text, message) => {
    const failure = await failureOf(loadText(text));

    expect(failure).toMatchObject({ code: "CONFIG_INVALID", message: expect.stringContaining(message) });
  });

  it("names all problems at once, in the order of the file, with lines and columns", async () => {
    const failure = await failureOf(loadText(`${MINIMAL}nme: x\nworkers: many\ntimezone: Mars\n`));

    expect(failure.message).toMatch(/ has 3 problems$/);
    expect(failure.lines).toEqual([
      'line 5, column 1: nme: unknown key; did you mean "name"?',
      "line 6, column 10: workers: must be a number, not text",
      "line 7, column 11: timezone: is not an IANA time zone such as UTC or Europe/Berlin",
    ]);
    expect(failure.hint).toContain("backupctl config validate");
  });

  it.each([
    [
      "an unterminated string",
      `storages: { a: { type: local, path: /a } }\nencryption:\n  keys: { k: { provider: local, key: "SECRET } }`,
    ],
    ["a stray scalar", `encryption: { keys: { k: { provider: local, key: "x" "SECRET" } } }`],
    ["a stray scalar after a list", `- a\nkey: SECRET`],
    ["an option of the wrong type", `encryption: { keys: { k: { provider: local, key: [SECRET] } } }`],
    ["a password that fails its rule", `${MINIMAL}sources: { d: { engine: postgres, url: "mysql://u:SECRET@h/d" } }`],
    ["a variable inside", `${MINIMAL}sources: { d: { engine: postgres, password: "${variable("NOPE")}SECRET" } }`],
  ])("never repeats a secret: %s", async (_, text) => {
    const failure = await failureOf(loadText(text));

    expect(
      `${failure.message} ${failure.lines.join(" ")} ${failure.hint} ${JSON.stringify(failure.data)}`,
    ).not.toContain("SECRET");
  });

  it("lets an environment variable change no structure", async () => {
    const loaded = await loadText(`${MINIMAL}name: ${variable("SITE")}\n`, {
      env: { HOME: "/", SITE: "x\nworkers: 3 # [}" },
    });

    expect(loaded.config).toMatchObject({ name: "x\nworkers: 3 # [}", workers: undefined });
  });

  it("accepts the key given in any case of its digits", async () => {
    const loaded = await loadText(MINIMAL.replace(KEY, KEY.toUpperCase()));

    expect(loaded.config.encryption.keys).toEqual([{ name: "site", provider: "local" }]);
  });
});
