import { z } from "zod";
import { isObjectName } from "../object-key.ts";

/** The options that every service with buckets has, whatever it calls them. */

export function prefixOption(bucket: "bucket" | "container") {
  return z
    .string()
    .refine((prefix) => prefix.replace(/\/$/, "").split("/").every(isObjectName), {
      error: "must be names of A-Z a-z 0-9 . _ - with / between them",
    })
    .optional()
    .describe(`A folder in the ${bucket} that holds the backups. Without it they lie at its top.`)
    .meta({ example: "site" });
}

/**
 * An address that is shown wherever the storage is told of: no secret may be in it.
 * @param login the options that the login belongs in
 */
export function endpointOption({ example, login }: { readonly example: string; readonly login: string }) {
  return z
    .url({ protocol: /^https?$/, error: `must be an address such as ${example}` })
    .refine((url) => !URL.canParse(url) || isBare(new URL(url)), {
      error: `must have neither a login nor ? or # in it; the login belongs in ${login}`,
    })
    .optional();
}

function isBare({ username, password, search, hash }: URL): boolean {
  return `${username}${password}${search}${hash}` === "";
}

export const caFileOption = z
  .string()
  .min(1)
  .optional()
  .describe("Certificates (PEM) to trust beside the well-known ones, for an endpoint of your own.")
  .meta({ path: true, example: "/etc/backupctl/ca.pem" });

export const insecureOption = z.boolean().default(false).describe("Allow an http:// endpoint on another host.");
