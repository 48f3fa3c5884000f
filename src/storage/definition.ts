import type { ZodObject, z } from "zod";
import { BackupctlError } from "../errors.ts";
import type { Storage, StorageContext, StorageDefinition } from "./storage.ts";

/** What an adapter's folder exports: its options' schema, and how to open it with options that satisfy it. */
export interface StorageAdapter<Schema extends ZodObject> {
  readonly options: Schema;
  readonly address: (options: z.output<Schema>) => Promise<string>;
  readonly open: (options: z.output<Schema>, context: StorageContext) => Promise<Storage>;
}

export interface RegisteredStorage extends StorageDefinition {
  readonly options: () => Promise<ZodObject>;
}

/** A line of the registry: the adapter, and whatever SDK it needs, is imported when it is first used. */
export function lazyStorage<Schema extends ZodObject>(
  type: string,
  load: () => Promise<StorageAdapter<Schema>>,
): RegisteredStorage {
  return {
    type,
    options: async () => (await load()).options,
    address: async (options) => {
      const adapter = await load();
      return adapter.address(parse(type, adapter.options, options));
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
