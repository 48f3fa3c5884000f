import { z } from "zod";
import { plainConnectionProblems } from "../../domain/plain-connection.ts";
import type { OptionProblem } from "../definition.ts";
import { caFileOption, endpointOption, insecureOption, prefixOption } from "../network/bucket-options.ts";

export const gcsOptions = z.object({
  bucket: z
    .string()
    .regex(/^[a-z0-9][a-z0-9._-]{1,220}[a-z0-9]$/, { error: "must be letters a-z, digits and . _ - between them" })
    .describe("The bucket.")
    .meta({ example: "example-backups" }),
  prefix: prefixOption("bucket"),
  endpoint: endpointOption({
    example: "https://storage.googleapis.com",
    login: "credentials_file",
  })
    .describe("Where the service is, if not at https://storage.googleapis.com.")
    .meta({ example: "https://storage-backups.p.googleapis.com" }),
  credentials: z
    .string()
    .min(1)
    .optional()
    .describe(
      "The key of a service account: the JSON text; its file is `credentials_file`. Without it: as for other Google programs.",
    )
    .meta({ secret: true }),
  location: z
    .string()
    .min(1)
    .optional()
    .describe("The location in which `init` makes the bucket if it is missing. Without it `init` makes none.")
    .meta({ example: "europe-west3" }),
  project: z
    .string()
    .min(1)
    .optional()
    .describe("The project to which a new bucket belongs. Default: the service account's.")
    .meta({ example: "example-project" }),
  storage_class: z
    .enum(["STANDARD", "NEARLINE", "COLDLINE", "ARCHIVE"])
    .optional()
    .describe("The storage class of what is put; all of them can be read at once. Default: the bucket's.")
    .meta({ example: "NEARLINE" }),
  kms_key: z
    .string()
    .regex(/^projects\/[^/]+\/locations\/[^/]+\/keyRings\/[^/]+\/cryptoKeys\/[^/]+$/, {
      error: "must be projects/…/locations/…/keyRings/…/cryptoKeys/…",
    })
    .optional()
    .describe("The Cloud KMS key for encryption by the service, beside backupctl's own. Default: the bucket's.")
    .meta({ example: "projects/example/locations/europe-west3/keyRings/backups/cryptoKeys/site" }),
  ca_file: caFileOption,
  insecure: insecureOption,
});

export type GcsOptions = z.output<typeof gcsOptions>;

/** Rules between options. */
export function gcsProblems({ endpoint, insecure }: GcsOptions): readonly OptionProblem[] {
  return plainConnectionProblems("endpoint", endpoint, insecure);
}
