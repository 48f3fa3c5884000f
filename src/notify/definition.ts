import type { ZodObject, z } from "zod";
import { BackupctlError } from "../errors.ts";
import type { Notifier, NotifierContext, NotifierDefinition } from "./notifier.ts";

/** What a notifier's folder exports: its options' schema, and how to open it with options that satisfy it. */
export interface NotifierAdapter<Schema extends ZodObject> {
  readonly options: Schema;
  /** Rules between options; those of one option are its schema's. `open` refuses what it can't work with all the same. */
  readonly check?: (options: z.output<Schema>) => readonly OptionProblem[];
  readonly open: (options: z.output<Schema>, context: NotifierContext) => Promise<Notifier>;
}

/** One thing that is wrong with options which are sound each for itself. */
export interface OptionProblem {
  readonly path: readonly string[];
  readonly message: string;
}

/** A line of the registry: the notifier is imported when it is first used. */
export function lazyNotifier<Schema extends ZodObject>(
  type: string,
  load: () => Promise<NotifierAdapter<Schema>>,
): NotifierDefinition {
  return {
    type,
    options: async () => (await load()).options,
    rules: async () => {
      const { options: schema, check } = await load();
      return (options) => check?.(parse(schema, options, `${type} notifier`)) ?? [];
    },
    open: async (options, context) => {
      const adapter = await load();
      return adapter.open(parse(adapter.options, options, `notifier "${context.name}"`), context);
    },
  };
}

function parse<Schema extends ZodObject>(schema: Schema, options: unknown, whose: string): z.output<Schema> {
  const parsed = schema.safeParse(options);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0];
  // The schemas' own words repeat no value, which may be a secret.
  throw new BackupctlError("CONFIG_INVALID", `${whose}: ${issue?.path.join(".") ?? ""} ${issue?.message ?? ""}`, {
    hint: "Check the config with `backupctl config validate`.",
  });
}
