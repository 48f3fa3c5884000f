import { z } from "zod";

export const localOptions = z.object({
  path: z
    .string()
    .min(1)
    .describe("Directory that holds the backups. On another disk than the data, best a mount point.")
    .meta({ path: true, example: "/var/backups/site" }),
  secure_delete: z
    .boolean()
    .optional()
    .describe(
      "Overwrite what is removed before its name goes. It helps on disks that write in place: not on flash memory, nor on btrfs or zfs; `storage check` says what this one is.",
    )
    .meta({ example: true }),
});

export type LocalOptions = z.output<typeof localOptions>;
