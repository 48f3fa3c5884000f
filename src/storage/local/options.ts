import { z } from "zod";

export const localOptions = z.object({
  path: z
    .string()
    .min(1)
    .describe("Directory that holds the backups. On another disk than the data, best a mount point.")
    .meta({ path: true, example: "/var/backups/site" }),
});

export type LocalOptions = z.output<typeof localOptions>;
