import { S3ServiceException } from "@aws-sdk/client-s3";
import { networkFailure } from "../../platform/network-failure.ts";
import { foreignAnswer, hintOfStatus, statusWords, unknownFailure } from "../network/foreign-answer.ts";
import { BUSY, firstLine, type ServiceFailure, toStorageError, WRONG_CLOCK } from "../network/service-failure.ts";

/** What an error message says of the place. */
export interface S3Place {
  /** The storage's name in the configuration. */
  readonly storage: string;
  readonly bucket: string;
  /** Whom we call, e.g. `https://s3.example.org`. */
  readonly peer: string;
  /** Objects are put with a lock. */
  readonly locks: boolean;
}

const WRONG_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check access_key_id and secret_access_key, or where the login comes from: `aws sts get-caller-identity` shows it.",
};
const EXPIRED_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "The temporary login has expired. Get a new one, or use one that is renewed by itself (a role, a profile).",
};
const NOT_PERMITTED: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "The login may not do this. docs/storage/s3.md has the policy that backupctl needs.",
};
const FULL: ServiceFailure = {
  code: "INSUFFICIENT_STORAGE",
  hint: "Raise the quota, or free space: `backupctl list` shows what is old, `backupctl delete` removes it.",
};
const KMS: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check that the key in sse_kms_key exists in the bucket's region, is enabled, and may be used by this login.",
};

/** By the service's own code. Services that imitate S3 know some of them, and answer others with the status alone. */
const FAILURES: Readonly<Record<string, ServiceFailure>> = {
  InvalidAccessKeyId: WRONG_LOGIN,
  SignatureDoesNotMatch: WRONG_LOGIN,
  InvalidToken: WRONG_LOGIN,
  CredentialsProviderError: {
    code: "STORAGE_DENIED",
    hint: "No login was found. Give access_key_id and secret_access_key, a profile, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment.",
  },
  TokenProviderError: EXPIRED_LOGIN,
  ExpiredToken: EXPIRED_LOGIN,
  ExpiredTokenException: EXPIRED_LOGIN,
  TokenRefreshRequired: EXPIRED_LOGIN,
  AccessDenied: NOT_PERMITTED,
  AllAccessDisabled: NOT_PERMITTED,
  AccountProblem: NOT_PERMITTED,
  RequestTimeTooSkewed: WRONG_CLOCK,
  RequestExpired: WRONG_CLOCK,
  QuotaExceeded: FULL,
  EntityTooLarge: FULL,
  InsufficientStorage: FULL,
  XMinioStorageFull: FULL,
  SlowDown: BUSY,
  ServiceUnavailable: BUSY,
  InternalError: BUSY,
  RequestTimeout: BUSY,
  OperationAborted: BUSY,
  ConditionalRequestConflict: BUSY,
  // The bytes were damaged on their way.
  BadDigest: BUSY,
  XAmzContentSHA256Mismatch: BUSY,
  IncompleteBody: BUSY,
  InvalidStorageClass: {
    code: "STORAGE_FAILED",
    hint: "The service has no such storage_class. Take another one, or leave it out.",
  },
  InvalidObjectState: {
    code: "OBJECT_COLD",
    hint: "It lies in an archive class. `backupctl restore`, `download` and `verify --storage NAME` ask for packs that do; anything else a lifecycle rule has moved there: bring it back with `aws s3api restore-object`, and exempt it from that rule.",
  },
  BucketAlreadyExists: { code: "STORAGE_FAILED", hint: "Somebody else has a bucket of this name. Take another one." },
  NotImplemented: {
    code: "STORAGE_FAILED",
    hint: "The service does not know something that was asked for. Set `checksums: when_required` and, if that is not it, `conditional_writes: false`; leave storage_class, sse and object_lock out.",
  },
};

/** The error of a failed call as the storage port promises it; what is none is returned as it came. */
export function asStorageError(error: unknown, place: S3Place, doing: string): unknown {
  return toStorageError(error, failureOf(error, place), { storage: place.storage, doing });
}

function failureOf(error: unknown, place: S3Place): ServiceFailure | undefined {
  const network = networkFailure(error, place.peer, "ca_file");
  if (network !== undefined) return { code: "STORAGE_FAILED", ...network };
  if (!(error instanceof Error)) return undefined;
  const called = { service: "an S3 service", peer: place.peer };
  const status = statusOf(error);
  const what = wordsOf(error, status);
  const known = special(error, place) ?? FAILURES[error.name];
  if (known !== undefined) return { ...known, what };
  if (status === undefined) return unknownFailure(error, called);
  // It says that all is well, and can't be read.
  if (status < 300) return foreignAnswer(called);
  return { ...byStatus(status), ...hintOfStatus(status, place.peer), what };
}

/** Those whose hint names the place, or that only their message tells apart. */
function special(error: Error, { bucket, locks }: S3Place): ServiceFailure | undefined {
  if (error.name === "NoSuchBucket" || error.name === "InvalidBucketName") {
    return {
      code: "STORAGE_NOT_FOUND",
      hint: `There is no bucket ${bucket} there. Correct bucket, region or endpoint; or make it, as \`backupctl init\` does where the login may.`,
    };
  }
  // Where an object is asked for it is no failure; where the bucket was, its name led to something else.
  if (error.name === "NoSuchKey") {
    return {
      code: "STORAGE_NOT_FOUND",
      hint: `If endpoint has ${bucket} in it, take it out there: endpoint is the service alone. If not, its path is wrong.`,
    };
  }
  const region = rightRegion(error);
  if (region !== undefined) {
    return {
      code: "STORAGE_FAILED",
      hint: region === "" ? "The bucket is in another region. Set region to it." : `Set \`region: ${region}\`.`,
    };
  }
  if (error.message.includes("Region is missing"))
    return { code: "CONFIG_INVALID", hint: "Set region, or AWS_REGION in the environment." };
  if (error.name.startsWith("KMS.") || /\bkms[:-]/i.test(error.message)) return KMS;
  if (error.name === "InvalidRequest" && (locks || /object ?lock/i.test(error.message))) {
    return {
      code: "STORAGE_FAILED",
      hint: `Object lock has to be switched on for ${bucket} when it is made. Do so, or leave object_lock out.`,
    };
  }
  return undefined;
}

/** `""` where the service only says that ours is wrong. */
function rightRegion(error: Error): string | undefined {
  if (
    ![
      "PermanentRedirect",
      "TemporaryRedirect",
      "Redirect",
      "AuthorizationHeaderMalformed",
      "IllegalLocationConstraintException",
    ].includes(error.name)
  )
    return undefined;
  if (error.name === "AuthorizationHeaderMalformed" && !/region/i.test(error.message)) return undefined;
  const named = "Region" in error && typeof error.Region === "string" ? error.Region : undefined;
  return named ?? headerOf(error, "x-amz-bucket-region") ?? /expecting '([a-z0-9-]+)'/.exec(error.message)?.[1] ?? "";
}

function byStatus(status: number): ServiceFailure {
  if (status === 401 || status === 403) return NOT_PERMITTED;
  if (status === 507) return FULL;
  return {
    ...(status === 501 ? FAILURES.NotImplemented : {}),
    code: "STORAGE_FAILED",
    retryable: (status >= 500 && status !== 501) || status === 429 || status === 408,
  };
}

/** Undefined for what is no answer of the service. */
export function statusOf(error: unknown): number | undefined {
  if (!(error instanceof Error && "$metadata" in error)) return undefined;
  const metadata: unknown = error.$metadata;
  const status =
    typeof metadata === "object" && metadata !== null && "httpStatusCode" in metadata
      ? metadata.httpStatusCode
      : undefined;
  return typeof status === "number" ? status : undefined;
}

function headerOf(error: Error, name: string): string | undefined {
  return error instanceof S3ServiceException ? error.$response?.headers[name] : undefined;
}

/**
 * The service's code and its own words: one line, whatever it sent. The SDK says `Unknown` where it sent neither, and something of its
 * own where it sent a page.
 */
function wordsOf(error: Error, status: number | undefined): string {
  if (status !== undefined && !(error instanceof S3ServiceException)) return statusWords(status);
  const said = firstLine(error.message);
  const words = [error.name, said].filter((word) => !["", "Error", "Unknown", "UnknownError"].includes(word));
  const isCode = /^[A-Za-z][A-Za-z0-9.]+$/.test(error.name);
  const parts = new Set(isCode ? words : words.slice(1));
  return parts.size > 0 || status === undefined ? [...parts].join(": ") : statusWords(status);
}
