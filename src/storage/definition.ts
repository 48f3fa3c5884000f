import type { ZodObject, z } from "zod";
import { BackupctlError } from "../errors.ts";
import type { Storage, StorageContext, StorageDefinition } from "./storage.ts";

/** What an adapter's folder exports: its options' schema, and how to open it with options that satisfy it. */
export interface StorageAdapter<Schema extends ZodObject> {
  readonly options: Schema;
  /** Rules between options; those of one option are its schema's. `open` refuses what it can't work with all the same. */
  readonly check?: (options: z.output<Schema>, beside: BesideOptions) => readonly OptionProblem[];
  readonly address: (options: z.output<Schema>) => Promise<string>;
  /** Of one that lies in a folder of this host: which, without symlinks. */
  readonly folder?: (options: z.output<Schema>) => Promise<string>;
  readonly open: (options: z.output<Schema>, context: StorageContext) => Promise<Storage>;
}

/** What the configuration says of a storage beside its adapter's options. */
export interface BesideOptions {
  readonly role?: unknown;
}

/** One thing that is wrong with options which are sound each for itself. */
export interface OptionProblem {
  readonly path: readonly string[];
  readonly message: string;
}

export interface RegisteredStorage extends StorageDefinition {
  readonly options: () => Promise<ZodObject>;
  readonly rules: () => Promise<(options: unknown, beside: BesideOptions) => readonly OptionProblem[]>;
}

/** A line of the registry: the adapter, and whatever SDK it needs, is imported when it is first used. */
export function lazyStorage<Schema extends ZodObject>(
  type: string,
  load: () => Promise<StorageAdapter<Schema>>,
  { isLocal = false, knowsLocks = false }: Pick<StorageDefinition, "isLocal" | "knowsLocks"> = {},
): RegisteredStorage {
  return {
    type,
    isLocal,
    knowsLocks,
    options: async () => (await load()).options,
    rules: async () => {
      const adapter = await load();
      return (options, beside) => adapter.check?.(parse(type, adapter.options, options), beside) ?? [];
    },
    address: async (options) => {
      const adapter = await load();
      return adapter.address(parse(type, adapter.options, options));
    },
    folder: async (options) => {
      if (!isLocal) return undefined;
      const adapter = await load();
      return adapter.folder?.(parse(type, adapter.options, options));
    },
    open: async (options, context) => {
      const adapter = await load();
      return adapter.open(parse(type, adapter.options, options), context);
    },
  };
}

function parse<Schema extends ZodObject>(type: string, schema: Schema, options: unknown): z.output<Schema> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  throw new BackupctlError(
    "CONFIG_INVALID",
    `${type} storage: ${issue?.path.join(".") ?? ""}: ${issue?.message ?? ""}`,
    {
      hint: "Check the config with `backupctl config validate`.",
    },
  );
}
