import { Readable } from "node:stream";
import { S3Client, type S3ClientConfig } from "@aws-sdk/client-s3";
import { keptConnections } from "../network/connections.ts";
import { ForeignAnswer, isPage } from "../network/foreign-answer.ts";
import type { StorageContext } from "../storage.ts";
import type { S3Options } from "./options.ts";

/** With an endpoint the region is only a word in the signature. */
const REGION_OF_OTHERS = "us-east-1";
const IGNORE = (): void => undefined;
/** Given, because the SDK writes some warnings to the console where it has no logger. */
const SILENT = { trace: IGNORE, debug: IGNORE, info: IGNORE, warn: IGNORE, error: IGNORE };

/** What the SDK has of an answer before it reads it. */
interface Answer {
  readonly statusCode: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: unknown;
}

/** A client that makes each call once: who tries again, and when, is decided above. */
export async function createClient(options: S3Options, context: StorageContext): Promise<S3Client> {
  const connections = await keptConnections(options.ca_file, context);
  const client = new S3Client({
    ...placeOf(options),
    ...loginOf(options),
    maxAttempts: 1,
    requestHandler: {
      httpAgent: connections.agentFor("http:"),
      httpsAgent: connections.agentFor("https:"),
      // How long a call takes is no measure: connections are cut where nothing moves.
      requestTimeout: 0,
      socketTimeout: 0,
    },
    // The wait for "100 Continue" would cost each pack a round trip.
    expectContinueHeader: false,
    requestChecksumCalculation: "WHEN_REQUIRED",
    // What is read is proven by its own format, in ranges too.
    responseChecksumValidation: "WHEN_REQUIRED",
    // A host whose clock is wrong dates its backups wrong: it is to be told, not helped.
    disableClockSkewCorrection: true,
    logger: SILENT,
  });
  client.middlewareStack.add(
    (next) => async (args) => {
      const result = await next(args);
      requireNoPage(result.response);
      return result;
    },
    // Before anything is made of the answer.
    { step: "deserialize", priority: "low", name: "noPage" },
  );
  return client;
}

/**
 * Swift says of its empty answers that they are pages.
 * @throws `ForeignAnswer` for a page with which something else says that the call succeeded
 */
function requireNoPage(response: unknown): void {
  const { statusCode, headers, body } = response as Answer;
  const isEmpty = statusCode === 204 || headers["content-length"] === "0";
  if (statusCode >= 300 || isEmpty || !isPage(headers["content-type"])) return;
  if (body instanceof Readable) body.destroy();
  throw new ForeignAnswer("it sends a web page");
}

/** Of a call that may be given up. */
export function abortedBy(signal: AbortSignal | undefined): { readonly abortSignal?: AbortSignal } {
  return signal === undefined ? {} : { abortSignal: signal };
}

function placeOf(options: S3Options): S3ClientConfig {
  const { endpoint, region = endpoint === undefined ? undefined : REGION_OF_OTHERS } = options;
  return {
    // The address says where the backups are: an endpoint from the environment would make it untrue.
    ignoreConfiguredEndpointUrls: true,
    forcePathStyle: options.path_style ?? endpoint !== undefined,
    ...(endpoint === undefined ? {} : { endpoint }),
    ...(region === undefined ? {} : { region }),
  };
}

function loginOf(options: S3Options): S3ClientConfig {
  const { access_key_id, secret_access_key, session_token, profile } = options;
  if (access_key_id === undefined || secret_access_key === undefined) return profile === undefined ? {} : { profile };
  return {
    credentials: {
      accessKeyId: access_key_id,
      secretAccessKey: secret_access_key,
      ...(session_token === undefined ? {} : { sessionToken: session_token }),
    },
  };
}
