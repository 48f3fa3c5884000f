import { BackupctlError, type ErrorCode } from "../errors.ts";
import { at } from "./check.ts";
import type { LoadedConfig, OptionValues } from "./config.ts";
import { nearest } from "./nearest.ts";
import type { ConfigPath } from "./problems.ts";
import type { ConfigSchema, Variant } from "./schema.ts";
import { marksOf, secretNames } from "./secret-options.ts";
import { readSecretFile, redactable, runSecretCommand } from "./secrets.ts";

type Resolvers = Pick<
  LoadedConfig,
  "resolveStorage" | "resolveKey" | "resolveSource" | "resolveTarget" | "resolveNotifier"
>;

interface ResolveContext {
  readonly values: Readonly<Record<string, unknown>>;
  readonly schema: ConfigSchema;
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly directory: string;
  readonly secrets: Set<string>;
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal | undefined;
}

/** Secrets are fetched when the thing they belong to is used: listing needs no database password. */
export function resolvers(context: ResolveContext): Resolvers {
  const { values, schema } = context;
  return {
    resolveStorage: (name) => {
      const path = known(values, ["storages"], name, { what: "storage", code: "STORAGE_NOT_FOUND" });
      return resolve(path, schema.storages.get(String(at(values, path).type)), "CONFIG_INVALID", context);
    },
    resolveKey: (name) => {
      const path = known(values, ["encryption", "keys"], name, { what: "key", code: "ENCRYPTION_KEY_NOT_FOUND" });
      return resolve(path, schema.keys.get(String(at(values, path).provider)), "ENCRYPTION_KEY_NOT_FOUND", context);
    },
    resolveSource: (name) => {
      const path = known(values, ["sources"], name, { what: "source", code: "SOURCE_NOT_FOUND" });
      return resolve(path, engineOf(name, context), "CONFIG_INVALID", context);
    },
    resolveNotifier: async (name) => {
      const path = known(values, ["notifiers"], name, { what: "notifier", code: "CONFIG_INVALID" });
      return resolve(path, schema.notifiers.get(String(at(values, path).type)), "CONFIG_INVALID", context);
    },
    resolveTarget: async (target, source) => {
      const path = known(values, ["targets"], target, { what: "target", code: "TARGET_NOT_FOUND" });
      if (!Object.hasOwn(at(values, [...path, "sources"]), source)) return {};
      return resolve([...path, "sources", source], engineOf(source, context), "CONFIG_INVALID", context);
    },
  };
}

function engineOf(source: string, { values, schema }: ResolveContext): Variant | undefined {
  return schema.engines.get(String(at(values, ["sources", source]).engine));
}

function known(
  values: Readonly<Record<string, unknown>>,
  section: ConfigPath,
  name: string,
  failure: { readonly what: string; readonly code: ErrorCode },
): ConfigPath {
  const names = Object.keys(at(values, section));
  if (names.includes(name)) return [...section, name];
  const meant = nearest(name, names);
  const hint =
    names.length === 0
      ? `The config has no ${section.at(-1)}.`
      : `The config has: ${names.join(", ")}.${meant === undefined ? "" : ` Did you mean ${meant}?`}`;
  throw new BackupctlError(failure.code, `${failure.what} "${name}" is not in the config`, { hint });
}

async function resolve(
  path: ConfigPath,
  variant: Variant | undefined,
  code: ErrorCode,
  context: ResolveContext,
): Promise<OptionValues> {
  if (variant === undefined) throw new BackupctlError("CONFIG_INVALID", `${path.join(".")} is of no known type`);
  const given = at(context.values, path);
  const options: Record<string, unknown> = {};
  for (const [name, value] of Object.entries(given)) if (Object.hasOwn(variant.shape, name)) options[name] = value;
  for (const name of secretNames(variant.shape)) {
    const value = await secretValue(given, [...path, name].join("."), name, code, context);
    if (value === undefined) continue;
    options[name] = value;
    for (const text of redactable(value)) context.secrets.add(text);
  }
  return options;
}

async function secretValue(
  given: Readonly<Record<string, unknown>>,
  option: string,
  name: string,
  code: ErrorCode,
  context: ResolveContext,
): Promise<string | undefined> {
  const secretContext = (form: string) => ({ ...context, option: `${option}${form}`, code });
  const inline = given[name];
  if (typeof inline === "string") return inline;
  const file = given[`${name}_file`];
  if (typeof file === "string") return readSecretFile(file, secretContext("_file"));
  const command = given[`${name}_command`];
  if (typeof command === "string") return runSecretCommand(command, secretContext("_command"));
  if (Array.isArray(command)) return runSecretCommand(command.map(String), secretContext("_command"));
  return undefined;
}

/** Secrets that stand in the config itself, known without asking anyone. */
export function inlineSecrets(values: Readonly<Record<string, unknown>>, schema: ConfigSchema): readonly string[] {
  const found: string[] = [];
  for (const { path, variant } of adapterParts(values, schema)) {
    const given = at(values, path);
    for (const [name, field] of Object.entries(variant.shape)) {
      const value = given[name];
      const marks = marksOf(field);
      if (marks.secret && typeof value === "string") found.push(...redactable(value));
      if (marks.concealed) found.push(...likelySecrets(at(given, [name])));
    }
  }
  return found;
}

/** By name: to blot out `production` wherever it stands would hide more than it protects. */
function likelySecrets(variables: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(variables).flatMap(([name, value]) =>
    /pass|secret|token|key|credential|auth|cookie|dsn|url/i.test(name) && typeof value === "string"
      ? redactable(value)
      : [],
  );
}

/** Every part of the configuration that an adapter's schema describes: targets' overrides too. */
export function adapterParts(
  values: Readonly<Record<string, unknown>>,
  schema: ConfigSchema,
): readonly { readonly path: ConfigPath; readonly variant: Variant }[] {
  const parts: { path: ConfigPath; variant: Variant | undefined }[] = [
    ...members(values, ["storages"]).map((path) => ({
      path,
      variant: schema.storages.get(String(at(values, path).type)),
    })),
    ...members(values, ["encryption", "keys"]).map((path) => ({
      path,
      variant: schema.keys.get(String(at(values, path).provider)),
    })),
    ...members(values, ["notifiers"]).map((path) => ({
      path,
      variant: schema.notifiers.get(String(at(values, path).type)),
    })),
    ...members(values, ["sources"]).map((path) => ({
      path,
      variant: schema.engines.get(String(at(values, path).engine)),
    })),
    ...members(values, ["targets"]).flatMap((target) =>
      members(values, [...target, "sources"]).map((path) => ({
        path,
        variant: schema.engines.get(String(at(values, ["sources", String(path.at(-1))]).engine)),
      })),
    ),
  ];
  return parts.flatMap(({ path, variant }) => (variant === undefined ? [] : [{ path, variant }]));
}

function members(values: Readonly<Record<string, unknown>>, section: ConfigPath): readonly ConfigPath[] {
  return Object.keys(at(values, section)).map((name) => [...section, name]);
}
