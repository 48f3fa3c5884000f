import { readFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { parse } from "yaml";
import { z } from "zod";
import { withReference } from "../../scripts/generate-config-docs.ts";
import { configJsonSchema } from "../../src/config/json-schema.ts";
import { loadConfig } from "../../src/config/load.ts";
import { loadConfigSchema, type Variant } from "../../src/config/schema.ts";
import { innerOf } from "../../src/config/secret-options.ts";
import { isLimitOption } from "../../src/config/storage-options.ts";
import { configTemplate } from "../../src/config/template.ts";
import { loadText, variable } from "./helpers.ts";

const root = join(import.meta.dirname, "..", "..");
const read = (file: string) => readFileSync(join(root, file), "utf8");

function plainSections(schema: unknown, prefix: string): string[] {
  let inner = schema;
  for (let next = innerOf(inner); next !== undefined; next = innerOf(inner)) inner = next;
  if (!(inner instanceof z.ZodObject)) return [prefix];
  return Object.entries(inner.shape).flatMap(([key, value]) =>
    plainSections(value, prefix === "" ? key : `${prefix}.${key}`),
  );
}

const valueAt = (value: unknown, path: string): unknown =>
  path
    .split(".")
    .reduce<unknown>((at, key) => (typeof at === "object" && at !== null ? Reflect.get(at, key) : undefined), value);

/** Itself; a secret in one of its forms; what all storages have is shown at the first. */
function isShown(option: string, schema: unknown, shown: ReadonlySet<string>): boolean {
  const secret = schema instanceof z.ZodType ? String(schema.meta()?.secretForm ?? option) : option;
  const forms = ["", "_file", "_command"].map((form) => `${secret}${form}`);
  return isLimitOption(option) || forms.some((form) => shown.has(form));
}

describe("backup.config.example.yaml", () => {
  const text = read("backup.config.example.yaml");

  it("is valid without any environment variable", async () => {
    const loaded = await loadConfig({
      path: join(root, "backup.config.example.yaml"),
      env: { HOME: "/root" },
      cwd: "/",
    });

    expect(loaded.warnings).toEqual([]);
  });

  it("shows every option of the configuration", async () => {
    const { full } = await loadConfigSchema();
    const example: unknown = parse(text);

    const missing = plainSections(full, "").filter((path) => valueAt(example, path) === undefined);

    expect(missing).toEqual([]);
  });

  it("shows every option of every storage, key provider, engine, job and notifier", async () => {
    const schema = await loadConfigSchema();
    const example: unknown = parse(text);
    const families: [string, string, ReadonlyMap<string, Variant>][] = [
      ["storages", "type", schema.storages],
      ["encryption.keys", "provider", schema.keys],
      ["sources", "engine", schema.engines],
      ["schedules", "operation", schema.schedules],
      ["notifiers", "type", schema.notifiers],
    ];

    for (const [section, discriminator, variants] of families) {
      const members = Object.values(
        z.record(z.string(), z.record(z.string(), z.unknown())).parse(valueAt(example, section)),
      );
      for (const { type, inFile } of variants.values()) {
        const shown = new Set(
          members.filter((one) => (one[discriminator] ?? "create") === type).flatMap((one) => Object.keys(one)),
        );
        const common = [
          "component",
          "category",
          "cron",
          "every",
          "at",
          "frequency",
          "time",
          "timezone",
          "enabled",
          "notify",
        ];
        const missing = Object.entries(inFile.shape)
          .filter(([option, schema]) => !isShown(option, schema, shown) && !common.includes(option))
          .map(([option]) => option);
        expect(missing, `${section} ${type}`).toEqual([]);
      }
    }
  });
});

describe("the configuration's documents", () => {
  it("docs/configuration.md has the reference as the schemas have it (node scripts/generate-config-docs.ts)", async () => {
    const document = read("docs/configuration.md");

    expect(document).toBe(await withReference(document));
  });

  it("every option is described", async () => {
    const { full, storages, keys, engines, schedules, notifiers } = await loadConfigSchema();
    const shapes = [
      full,
      ...[storages, keys, engines, schedules, notifiers]
        .flatMap((variants) => [...variants.values()])
        .map((variant) => variant.inFile),
    ];

    for (const shape of shapes) {
      if (!(shape instanceof z.ZodObject)) throw new Error("no object");
      const document = JSON.stringify(z.toJSONSchema(shape, { io: "input", unrepresentable: "any" }));
      const described = z
        .object({
          properties: z.record(
            z.string(),
            z.looseObject({ description: z.string().optional(), const: z.unknown().optional() }),
          ),
        })
        .parse(JSON.parse(document));
      const bare = Object.entries(described.properties).filter(
        ([, one]) => one.description === undefined && one.const === undefined,
      );
      expect(bare.map(([name]) => name)).toEqual([]);
    }
  });

  it("the JSON Schema is a draft-07 document without this program's own marks", async () => {
    const schema = await configJsonSchema();

    expect(schema).toMatchObject({
      $schema: "http://json-schema.org/draft-07/schema#",
      type: "object",
      additionalProperties: false,
    });
    expect(JSON.stringify(schema)).not.toMatch(/"secret":true|"concealed":|"secretForm":/);
    expect(JSON.stringify(schema)).toContain('"password_command"');
  });
});

describe("the configuration that init writes", () => {
  it.each([
    ["example.org", "/var/backups/site", "/etc/backupctl/key"],
    ['a "quoted": name # not a comment', "/srv/back ups", `/etc/${variable("KEY")}/key`],
  ])("is valid for %s", async (name, storagePath, keyFile) => {
    const loaded = await loadText(configTemplate({ name, storagePath, keyFile }));

    expect(loaded.config.name).toBe(name);
    expect(await loaded.resolveStorage("main")).toEqual({ path: storagePath });
    expect(loaded.shown()).toMatchObject({ encryption: { keys: { main: { key_file: keyFile } } } });
  });

  it("is valid with all its suggested sources switched on", async () => {
    const text = configTemplate({ name: "x", storagePath: "/b", keyFile: "/k" })
      .replaceAll(/^# ( +)/gm, " $1")
      .replaceAll(/^#( {2,})/gm, "$1");

    const loaded = await loadText(text);

    expect(loaded.config.sources.length).toBe(5);
    expect(loaded.config.retention.yearly).toEqual({ amount: 7, unit: "y" });
  });
});
