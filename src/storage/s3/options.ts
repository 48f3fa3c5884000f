import { z } from "zod";
import { plainConnectionProblems } from "../../domain/plain-connection.ts";
import type { OptionProblem } from "../definition.ts";
import { caFileOption, endpointOption, insecureOption, prefixOption } from "../network/bucket-options.ts";

export type ThawTier = "Expedited" | "Standard" | "Bulk";

/** The classes whose objects can't be read before they were asked for, and how many hours Amazon says that takes at most. */
const COLD_CLASSES: Readonly<Record<string, { readonly Standard: number } & Partial<Record<ThawTier, number>>>> = {
  GLACIER: { Expedited: 5 / 60, Standard: 5, Bulk: 12 },
  DEEP_ARCHIVE: { Standard: 12, Bulk: 48 },
};

/** `undefined` for a class whose objects can be read at once. */
export function thawHours(storageClass: string): (typeof COLD_CLASSES)[string] | undefined {
  return COLD_CLASSES[storageClass];
}

export const s3Options = z.object({
  bucket: z
    .string()
    .min(1)
    .refine((bucket) => bucket.startsWith("arn:") || !bucket.includes("/"), {
      error: "must be the bucket's name alone, without s3:// before it; a folder in it is `prefix`",
    })
    .describe("The bucket, or the ARN of an access point.")
    .meta({ example: "example-backups" }),
  prefix: prefixOption("bucket"),
  endpoint: endpointOption({
    example: "https://s3.example.org",
    login: "access_key_id and secret_access_key",
  })
    .describe("Where the service is, if it is not Amazon's.")
    .meta({ example: "https://s3.example.org" }),
  region: z
    .string()
    .min(1)
    .optional()
    .describe("The bucket's region. Default: as for other AWS programs; with an endpoint us-east-1.")
    .meta({ example: "eu-central-1" }),
  path_style: z
    .boolean()
    .optional()
    .describe("The bucket in the path of addresses, not in the host's name. Default: only with an endpoint."),
  storage_class: z
    .string()
    .min(1)
    .optional()
    .describe("The storage class. Of an archive GLACIER or DEEP_ARCHIVE too: data move there when they are verified.")
    .meta({ example: "STANDARD_IA" }),
  thaw_tier: z
    .enum(["Expedited", "Standard", "Bulk"])
    .default("Standard")
    .describe("How fast, and at what price, data in a cold class are asked for when they are to be read."),
  thaw_days: z.int().min(1).max(365).default(7).describe("How long they can be read then."),
  sse: z
    .enum(["AES256", "aws:kms"])
    .optional()
    .describe("Encryption by the service, beside backupctl's own. Default: the bucket's."),
  sse_kms_key: z
    .string()
    .min(1)
    .optional()
    .describe("The key for `sse: aws:kms`. Default: the account's own for S3.")
    .meta({ example: "alias/backups" }),
  object_lock: z
    .enum(["governance", "compliance"])
    .optional()
    .describe(
      "Lock each object so that nobody deletes or replaces it before its time. The bucket must have object lock.",
    ),
  object_lock_days: z.int().min(1).max(36500).optional().describe("How long objects are locked.").meta({ example: 30 }),
  checksums: z
    .enum(["default", "when_required"])
    .default("default")
    .describe(
      "default: SHA-256, which the service checks and keeps. when_required: only that of the signature, for older services; with object_lock Content-MD5, too.",
    ),
  conditional_writes: z
    .union([z.boolean(), z.literal("auto")])
    .default("auto")
    .describe(
      "Whether the service itself refuses to overwrite. auto: Amazon's does; another is asked to, and the name is looked at first all the same.",
    ),
  access_key_id: z
    .string()
    .min(1)
    .optional()
    .describe("The login. Without it: as for other AWS programs (environment, profile, role of the machine).")
    .meta({ secret: true }),
  secret_access_key: z.string().min(1).optional().describe("The secret of `access_key_id`.").meta({ secret: true }),
  session_token: z
    .string()
    .min(1)
    .optional()
    .describe("The token that belongs to a temporary login.")
    .meta({ secret: true }),
  profile: z
    .string()
    .min(1)
    .optional()
    .describe("A profile of ~/.aws/config and ~/.aws/credentials.")
    .meta({ example: "backups" }),
  ca_file: caFileOption,
  insecure: insecureOption,
});

export type S3Options = z.output<typeof s3Options>;

/** Rules between options. */
export function s3Problems(options: S3Options): readonly OptionProblem[] {
  const problems = [...plainConnectionProblems("endpoint", options.endpoint, options.insecure)];
  const found = (path: keyof S3Options, message: string) => problems.push({ path: [path], message });
  const { access_key_id, secret_access_key, session_token, profile } = options;
  if ((access_key_id === undefined) !== (secret_access_key === undefined)) {
    if (access_key_id === undefined) found("access_key_id", "is missing beside secret_access_key");
    else found("secret_access_key", "is missing beside access_key_id");
  }
  if (session_token !== undefined && access_key_id === undefined)
    found("session_token", "means nothing without access_key_id");
  if (profile !== undefined && access_key_id !== undefined) found("profile", "is one too many beside access_key_id");
  if (options.sse_kms_key !== undefined && options.sse !== "aws:kms")
    found("sse_kms_key", "means nothing without `sse: aws:kms`");
  if (options.object_lock !== undefined && options.object_lock_days === undefined)
    found("object_lock_days", "is missing beside object_lock");
  if (options.object_lock_days !== undefined && options.object_lock === undefined)
    found("object_lock", "is missing beside object_lock_days");
  const { storage_class = "", thaw_tier } = options;
  const hours = thawHours(storage_class);
  if (hours !== undefined && hours[thaw_tier] === undefined) found("thaw_tier", `means nothing in ${storage_class}`);
  return problems;
}

/** Only what nobody reads every day may be cold: a backup reads what the one before it stored. */
export function s3RoleProblems({ storage_class = "" }: S3Options, role: unknown): readonly OptionProblem[] {
  if (role === "archive" || thawHours(storage_class) === undefined) return [];
  const message = `${storage_class} can't be read at once, so it is for a storage of \`role: archive\`; GLACIER_IR can`;
  return [{ path: ["storage_class"], message }];
}
