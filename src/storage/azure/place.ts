import type { AzureOptions } from "./options.ts";

const PUBLIC_SUFFIX = "core.windows.net";

export interface AzurePlace {
  /** Where the account's blobs are, without a slash at the end. */
  readonly endpoint: string;
  readonly account: string;
  readonly accountKey?: string;
  /** Without the ? at its beginning. */
  readonly sas?: string;
}

/** Where and as whom. The options must be without problems. */
export function azurePlace(options: AzureOptions): AzurePlace {
  const { account = "", account_key, sas, connection_string } = options;
  const parts = connection_string === undefined ? undefined : connectionParts(connection_string);
  if (parts !== undefined) return parts;
  const endpoint = options.endpoint ?? `https://${account}.blob.${PUBLIC_SUFFIX}`;
  return placeOf(endpoint, account, account_key, sas);
}

/** `azure:HOST/CONTAINER/PREFIX`. */
export function azureAddress(options: AzureOptions): string {
  const { host, pathname } = new URL(azurePlace(options).endpoint);
  return [
    "azure:",
    [host, pathname.slice(1), options.container, folderOf(options)].filter((it) => it !== "").join("/"),
  ].join("");
}

/** The folder of all objects, without a slash at its end; `""` is the container itself. */
export function folderOf({ prefix = "" }: AzureOptions): string {
  return prefix.replace(/\/$/, "");
}

/** What a connection string says; `undefined` if it is none. */
export function connectionParts(text: string): AzurePlace | undefined {
  const parts = new Map<string, string>();
  for (const part of text.split(";")) {
    const equals = part.indexOf("=");
    if (equals > 0) parts.set(part.slice(0, equals).trim().toLowerCase(), part.slice(equals + 1).trim());
  }
  const account = parts.get("accountname") ?? "";
  const host = `${account}.blob.${parts.get("endpointsuffix") ?? PUBLIC_SUFFIX}`;
  const given = parts.get("blobendpoint");
  const endpoint = given ?? `${parts.get("defaultendpointsprotocol") ?? "https"}://${host}`;
  const [key, sas] = [parts.get("accountkey"), parts.get("sharedaccesssignature")];
  if ((account === "" && (given === undefined || key !== undefined)) || !URL.canParse(endpoint)) return undefined;
  if ((key === undefined) === (sas === undefined)) return undefined;
  return placeOf(endpoint, account, key, sas);
}

function placeOf(endpoint: string, account: string, accountKey?: string, sas?: string): AzurePlace {
  const { origin, pathname } = new URL(endpoint);
  return {
    endpoint: `${origin}${pathname.replace(/\/+$/, "")}`,
    account,
    ...(accountKey === undefined ? {} : { accountKey }),
    ...(sas === undefined ? {} : { sas: sas.replace(/^\?/, "") }),
  };
}
