import { type AuthClient, GoogleAuth, JWT, type OAuth2ClientOptions, UserRefreshClient } from "google-auth-library";
import { setBackend } from "google-logging-utils";
import { z } from "zod";
import { plainConnectionProblems } from "../../domain/plain-connection.ts";
import { BackupctlError } from "../../errors.ts";
import { silenceWarnings } from "../../platform/warnings.ts";
import type { Connections } from "../network/connections.ts";
import type { StorageContext } from "../storage.ts";
import { fetchOver } from "./fetch.ts";
import type { GcsOptions } from "./options.ts";

/** Objects, and making a bucket; not their permissions. */
const SCOPE = "https://www.googleapis.com/auth/devstorage.read_write";
/** The library asks there, whatever the key says. */
const GOOGLE_TOKENS = "https://oauth2.googleapis.com/token";

export interface Login {
  /** Its requests have the login's token, and go over our connections. */
  readonly auth: GoogleAuth<AuthClient>;
  /** The project that the login belongs to, where it says so. */
  readonly project: string | undefined;
}

const serviceAccount = z.object({
  type: z.literal("service_account"),
  client_email: z.string().min(1),
  private_key: z.string().min(1),
  private_key_id: z.string().optional(),
  project_id: z.string().optional(),
  token_uri: z.url({ protocol: /^https?$/ }).default(GOOGLE_TOKENS),
});

const userAccount = z.object({
  type: z.literal("authorized_user"),
  client_id: z.string().min(1),
  client_secret: z.string().min(1),
  refresh_token: z.string().min(1),
  quota_project_id: z.string().optional(),
});

type Key = z.output<typeof serviceAccount> | z.output<typeof userAccount>;

/** Tokens are fetched when the first request needs one. @throws `CONFIG_INVALID` for credentials that are none. */
export function logIn(options: GcsOptions, connections: Connections, { name }: StorageContext): Login {
  // With GOOGLE_SDK_NODE_LOGGING the library prints the tokens that it gets.
  setBackend(null);
  // Of a metadata server that it asks in vain it warns, too.
  silenceWarnings("MetadataLookupWarning");
  const own = { transporterOptions: { fetchImplementation: fetchOver(connections) } };
  if (options.credentials === undefined) {
    return { auth: new GoogleAuth({ scopes: SCOPE, clientOptions: own }), project: options.project };
  }
  const key = keyOf(options.credentials, name);
  const client = key.type === "service_account" ? serviceClient(key, own) : userClient(key, own);
  if (key.type === "service_account") askThere(client, key.token_uri, options.insecure, name);
  return {
    auth: new GoogleAuth({ authClient: client }),
    project: options.project ?? (key.type === "service_account" ? key.project_id : key.quota_project_id),
  };
}

function keyOf(text: string, storage: string): Key {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    json = undefined;
  }
  const parsed = z.discriminatedUnion("type", [serviceAccount, userAccount]).safeParse(json);
  if (parsed.success) return parsed.data;
  const wrong = parsed.error.issues[0]?.path.join(".") ?? "";
  throw new BackupctlError(
    "CONFIG_INVALID",
    `storage "${storage}": credentials are no key of a service account${wrong === "" ? "" : ` (${wrong})`}`,
    {
      hint: "Give the JSON file that `gcloud iam service-accounts keys create` writes, as `credentials_file`. For other kinds of login leave credentials out and set GOOGLE_APPLICATION_CREDENTIALS.",
    },
  );
}

function serviceClient(key: z.output<typeof serviceAccount>, own: OAuth2ClientOptions): JWT {
  const { client_email: email, private_key, private_key_id: keyId } = key;
  return new JWT({ ...own, email, key: private_key, scopes: SCOPE, ...(keyId === undefined ? {} : { keyId }) });
}

function userClient(
  { quota_project_id: project, ...key }: z.output<typeof userAccount>,
  own: OAuth2ClientOptions,
): UserRefreshClient {
  const client = new UserRefreshClient(own);
  client.fromJSON({ ...key, ...(project === undefined ? {} : { quota_project_id: project }) });
  return client;
}

/** Makes it ask for tokens where its key says, once: who tries again, and when, is decided above. */
function askThere(client: AuthClient, tokens: string, insecure: boolean, storage: string): void {
  const [problem] = plainConnectionProblems("token_uri", tokens, insecure);
  if (problem !== undefined) {
    throw new BackupctlError(
      "CONFIG_INVALID",
      `storage "${storage}": token_uri of the credentials ${problem.message}`,
      {
        hint: "Take the key's file as Google wrote it.",
      },
    );
  }
  client.transporter.interceptors.request.add({
    resolved: async (config) => {
      if (config.url.href === GOOGLE_TOKENS) {
        config.url = new URL(tokens);
        delete config.retryConfig;
      }
      return config;
    },
  });
}
