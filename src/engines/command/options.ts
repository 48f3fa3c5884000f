import { z } from "zod";
import { TIMEOUT_PATTERN, TIMEOUT_RULE } from "../../domain/duration.ts";

const program = z.union([z.string().min(1), z.array(z.string()).min(1)]);

/** A config's options of a source with `engine: command`. */
export const options = z.object({
  command: program
    .describe("The program whose output is backed up: a list of arguments, or a text split at its spaces. No shell.")
    .meta({ example: ["/srv/app/bin/export-settings", "--json"] }),
  restore_command: program
    .optional()
    .describe("The program that takes the backed-up bytes on its standard input. Without it, restore needs --to.")
    .meta({ example: ["/srv/app/bin/import-settings"] }),
  allow_empty: z.boolean().default(false).describe("No output at all is fine; otherwise it is a failed source."),
  env: z
    .record(z.string().regex(/^[A-Za-z_][A-Za-z0-9_]*$/), z.string())
    .default({})
    .describe("Environment variables for both programs, beside the program's own. Shown as *** everywhere.")
    .meta({ concealed: true, example: { APP_ENV: "production" } }),
  working_directory: z
    .string()
    .min(1)
    .optional()
    .describe("The folder in which both programs run.")
    .meta({ path: true, example: "/srv/app" }),
  timeout: z
    .string()
    .regex(TIMEOUT_PATTERN, TIMEOUT_RULE)
    .default("1h")
    .describe("A program that runs longer is ended, and the source has failed."),
});

export type CommandOptions = z.output<typeof options>;
