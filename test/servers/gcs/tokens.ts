import { createPublicKey, generateKeyPairSync, randomUUID, verify } from "node:crypto";

/** Every token has it, and nothing else. */
export const TOKENS_BEGIN = "ya29.";

export type Account = "writer" | "reader";

/** Google's own, whatever server is asked instead: the library writes it into what it signs. */
const AUDIENCE = "https://oauth2.googleapis.com/token";
const GRANT = "urn:ietf:params:oauth:grant-type:jwt-bearer";
const SKEW_MS = 5 * 60_000;
const LIFETIME_S = 3600;

export interface TokenAnswer {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
}

/**
 * Service accounts and the endpoint that gives them tokens, as in https://developers.google.com/identity/protocols/oauth2/service-account:
 * a JWT that the account's key has signed, for a token of an hour.
 */
export class Tokens {
  readonly #publicKeys = new Map<string, string>();
  readonly #given = new Map<string, Account>();

  /** A new key's file, as gcloud writes it. */
  keyFile(account: Account, tokenUri: string): Record<string, string> {
    const { privateKey, publicKey } = generateKeyPairSync("rsa", {
      modulusLength: 2048,
      publicKeyEncoding: { type: "spki", format: "pem" },
      privateKeyEncoding: { type: "pkcs8", format: "pem" },
    });
    const email = `${account}@example-project.iam.gserviceaccount.com`;
    this.#publicKeys.set(email, publicKey);
    return {
      type: "service_account",
      project_id: "example-project",
      private_key_id: randomUUID().replaceAll("-", ""),
      private_key: privateKey,
      client_email: email,
      client_id: "123456789012345678901",
      auth_uri: "https://accounts.google.com/o/oauth2/auth",
      token_uri: tokenUri,
      universe_domain: "googleapis.com",
    };
  }

  accountOf(token: string): Account | undefined {
    return this.#given.get(token);
  }

  give(form: string, nowMs: number): TokenAnswer {
    const parameters = new URLSearchParams(form);
    if (parameters.get("grant_type") !== GRANT) return refused("unsupported_grant_type", "Invalid grant_type");
    const [head = "", payload = "", signature = ""] = (parameters.get("assertion") ?? "").split(".");
    const { alg } = decoded(head);
    const { iss, aud, iat, exp, scope } = decoded(payload);
    const publicKey = this.#publicKeys.get(String(iss));
    if (publicKey === undefined) return refused("invalid_grant", "Invalid grant: account not found");
    const signed = Buffer.from(`${head}.${payload}`);
    if (
      alg !== "RS256" ||
      !verify("RSA-SHA256", signed, createPublicKey(publicKey), Buffer.from(signature, "base64url"))
    )
      return refused("invalid_grant", "Invalid JWT Signature.");
    if (aud !== AUDIENCE) return refused("invalid_grant", "Invalid JWT: Failed audience check.");
    const [issuedMs, expiresMs] = [Number(iat) * 1000, Number(exp) * 1000];
    if (issuedMs > nowMs + SKEW_MS || expiresMs < nowMs - SKEW_MS || expiresMs - issuedMs > LIFETIME_S * 1000)
      return refused(
        "invalid_grant",
        "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim.",
      );
    if (typeof scope !== "string" || !/devstorage\.(read_write|full_control)|cloud-platform/.test(scope))
      return refused("invalid_scope", "Invalid OAuth scope or ID token audience provided.");
    const token = `${TOKENS_BEGIN}${randomUUID()}`;
    this.#given.set(token, String(iss).startsWith("writer@") ? "writer" : "reader");
    return { status: 200, body: { access_token: token, expires_in: LIFETIME_S - 1, token_type: "Bearer" } };
  }
}

function decoded(part: string): Readonly<Record<string, unknown>> {
  try {
    return JSON.parse(Buffer.from(part, "base64url").toString("utf8")) as Record<string, unknown>;
  } catch {
    return {};
  }
}

function refused(error: string, description: string): TokenAnswer {
  return { status: 400, body: { error, error_description: description } };
}
