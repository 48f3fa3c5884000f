import type { ZodObject, z } from "zod";
import { BackupctlError } from "../errors.ts";
import type { KeyProvider, KeyProviderContext, KeyProviderDefinition } from "./key-provider.ts";

/** What a provider's folder exports: its options' schema, and how to open it with options that satisfy it. */
export interface KeyProviderAdapter<Schema extends ZodObject> {
  readonly options: Schema;
  readonly open: (options: z.output<Schema>, context: KeyProviderContext) => KeyProvider;
}

export interface RegisteredKeyProvider extends KeyProviderDefinition {
  readonly options: () => Promise<ZodObject>;
}

/** A line of the registry: the provider is imported when it is first used. */
export function lazyKeyProvider<Schema extends ZodObject>(
  type: string,
  load: () => Promise<KeyProviderAdapter<Schema>>,
): RegisteredKeyProvider {
  return {
    type,
    options: async () => (await load()).options,
    open: async (options, context) => {
      const adapter = await load();
      const parsed = adapter.options.safeParse(options);
      if (parsed.success) return adapter.open(parsed.data, context);
      // Only where it is wrong: the issue itself may quote the value, which is a secret.
      const where = parsed.error.issues[0]?.path.join(".") ?? "";
      throw new BackupctlError(
        "CONFIG_INVALID",
        `key "${context.name}": ${type} option "${where}" is missing or invalid`,
        {
          hint: "Check the config with `backupctl config validate`.",
        },
      );
    },
  };
}
