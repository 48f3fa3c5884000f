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

export const caFileOption = z
  .string()
  .min(1)
  .optional()
  .describe("Certificates (PEM) to trust beside the well-known ones, for an endpoint of your own.")
  .meta({ path: true, example: "/etc/backupctl/ca.pem" });

export const insecureOption = z.boolean().default(false).describe("Allow an http:// endpoint on another host.");
