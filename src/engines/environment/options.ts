import { z } from "zod";

/** A config's options of a source with `engine: environment`. */
export const options = z.object({
  variables: z
    .array(z.string().regex(/^[A-Za-z_*?][A-Za-z0-9_*?]*$/, "must be a variable's name, or a pattern such as APP_*"))
    .min(1)
    .describe("The environment variables to keep: names, or patterns with * and ?.")
    .meta({ example: ["APP_*", "DATABASE_URL"] }),
  restore_file: z
    .string()
    .min(1)
    .optional()
    .describe("The file (0600) that a restore writes. Without it, restore needs --to.")
    .meta({ path: true, example: "/srv/app/.env.restored" }),
});

export type EnvironmentOptions = z.output<typeof options>;
