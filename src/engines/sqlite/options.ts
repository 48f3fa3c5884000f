import { z } from "zod";

/** A config's options of a source with `engine: sqlite`. */
export const options = z.object({
  path: z.string().min(1).describe("The database file.").meta({ path: true, example: "/srv/app/data/app.db" }),
  busy_timeout: z
    .string()
    .regex(/^\d{1,6}(s|m)$/, "must be a duration such as 30s or 5m")
    .default("30s")
    .describe("How long to wait for a writer that has locked the database."),
});

export type SqliteOptions = z.output<typeof options>;
