import { z } from "zod";

const absolute = z.string().regex(/^\/[^\0]*$/, "must be an absolute path");

/** A config's options of a source with `engine: files`. */
export const options = z.object({
  paths: z
    .array(absolute)
    .min(1)
    .describe("The folders and files to back up, with everything in them.")
    .meta({ path: true, example: ["/srv/www/uploads"] }),
  exclude: z
    .array(z.string().min(1))
    .default([])
    .describe("What to leave out, in gitignore syntax, relative to each of the paths. An absolute path works too.")
    .meta({ example: ["*.tmp", "/cache/", "!keep.tmp"] }),
  exclude_if_present: z
    .array(z.string().regex(/^[^/\0]+$/, "must be a file name without a slash"))
    .default([])
    .describe("A folder with a file of one of these names is kept empty, but for that file.")
    .meta({ example: [".nobackup"] }),
  exclude_caches: z
    .boolean()
    .default(false)
    .describe("Folders that hold a CACHEDIR.TAG with its signature are kept empty, but for the tag."),
  one_file_system: z
    .boolean()
    .default(false)
    .describe("Do not enter other file systems that are mounted below a path."),
  category: z
    .string()
    .regex(/^[a-z0-9][a-z0-9_-]{0,63}$/, "must be lowercase letters, digits, - and _")
    .optional()
    .describe("A label such as uploads or media, for create --category.")
    .meta({ example: "uploads" }),
  xattrs: z
    .enum(["auto", "required", "off"])
    .default("auto")
    .describe(
      "Extended attributes and ACLs: kept where possible (auto), an error where not (required), or left out (off).",
    ),
});

export type FilesOptions = z.output<typeof options>;
