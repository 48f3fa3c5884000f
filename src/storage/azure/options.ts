import { z } from "zod";
import { plainConnectionProblems } from "../../domain/plain-connection.ts";
import type { OptionProblem } from "../definition.ts";
import { caFileOption, endpointOption, insecureOption, prefixOption } from "../network/bucket-options.ts";
import { connectionParts } from "./place.ts";

export const azureOptions = z.object({
  account: z
    .string()
    .regex(/^[a-z0-9]{3,24}$/, { error: "must be 3 to 24 letters a-z and digits" })
    .optional()
    .describe("The storage account.")
    .meta({ example: "examplebackups" }),
  container: z
    .string()
    .regex(/^[a-z0-9](?:-?[a-z0-9]){2,62}$/, { error: "must be 3 to 63 letters a-z, digits and single - between them" })
    .describe("The container in the account. `init` makes it.")
    .meta({ example: "backups" }),
  prefix: prefixOption("container"),
  endpoint: endpointOption({
    example: "https://examplebackups.blob.core.windows.net",
    login: "account_key or sas",
  })
    .describe("Where the account's blobs are, if not at https://ACCOUNT.blob.core.windows.net.")
    .meta({ example: "https://examplebackups.blob.core.chinacloudapi.cn" }),
  account_key: z
    .base64()
    .min(1)
    .optional()
    .describe("One of the account's two keys. It may do everything; a SAS need not.")
    .meta({ secret: true }),
  sas: z
    .string()
    .min(1)
    .optional()
    .describe("A shared access signature for the container, with or without the ? at its beginning.")
    .meta({ secret: true }),
  connection_string: z
    .string()
    .min(1)
    .optional()
    .describe("Account and key, or account and SAS, as Azure's portal shows them.")
    .meta({ secret: true }),
  tier: z
    .enum(["Hot", "Cool", "Cold", "Archive"])
    .optional()
    .describe(
      "The access tier. Default: the account's. Of an archive Archive too: data move there when they are verified.",
    )
    .meta({ example: "Cool" }),
  thaw_priority: z
    .enum(["Standard", "High"])
    .default("Standard")
    .describe("How fast, and at what price, data in the tier Archive are asked for when they are to be read."),
  thaw_days: z
    .int()
    .min(1)
    .max(365)
    .default(7)
    .describe("How long they can be read then, until the next cleanup moves them back."),
  ca_file: caFileOption,
  insecure: insecureOption,
});

export type AzureOptions = z.output<typeof azureOptions>;

const LOGINS = ["account_key", "sas", "connection_string"] as const;

/** Rules between options. */
export function azureProblems(options: AzureOptions): readonly OptionProblem[] {
  const { account, endpoint, connection_string, insecure } = options;
  const problems: OptionProblem[] = [];
  const found = (path: keyof AzureOptions, message: string) => problems.push({ path: [path], message });

  const [login, oneMore] = LOGINS.filter((name) => options[name] !== undefined);
  if (oneMore !== undefined) found(oneMore, `is one too many beside ${login}`);

  if (connection_string === undefined) {
    if (account === undefined) found("account", "is missing; a connection_string has it too");
    // The SDK sends the token of an identity over TLS only, whatever the config allows.
    if (login === undefined && endpoint?.toLowerCase().startsWith("http:") === true)
      return [
        ...problems,
        { path: ["endpoint"], message: "is not encrypted; only an account_key or a sas can be used there" },
      ];
    return [...problems, ...plainConnectionProblems("endpoint", endpoint, insecure)];
  }
  if (account !== undefined) found("account", "is one too many beside connection_string, which has it");
  if (endpoint !== undefined) found("endpoint", "is one too many beside connection_string, which has it");
  const parts = connectionParts(connection_string);
  if (parts === undefined) found("connection_string", "must be parts such as AccountName=…;AccountKey=…");
  return [...problems, ...plainConnectionProblems("connection_string", parts?.endpoint, insecure)];
}

/** Only what nobody reads every day may be cold: a backup reads what the one before it stored. */
export function azureRoleProblems({ tier }: AzureOptions, role: unknown): readonly OptionProblem[] {
  if (role === "archive" || tier !== "Archive") return [];
  return [{ path: ["tier"], message: "Archive can't be read at once, so it is for a storage of `role: archive`" }];
}
