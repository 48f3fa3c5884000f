import { networkFailure } from "../../platform/network-failure.ts";
import { clockSkew } from "../network/clock-skew.ts";
import { hintOfStatus, statusWords, unknownFailure } from "../network/foreign-answer.ts";
import { BUSY, firstLine, type ServiceFailure, toStorageError, WRONG_CLOCK } from "../network/service-failure.ts";
import { RefusedError } from "./answers.ts";

/** What an error message says of the place. */
export interface GcsBucket {
  /** The storage's name in the configuration. */
  readonly storage: string;
  readonly bucket: string;
  /** Whom we call, e.g. `https://storage.googleapis.com`. */
  readonly peer: string;
}

const NOT_PERMITTED: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "The login may not do this. docs/storage/gcs.md has the role that backupctl needs.",
};
const WRONG_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check that the service account and its key still exist: `gcloud iam service-accounts keys list`.",
};
const NO_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "No login was found. Give credentials_file, run `gcloud auth application-default login`, or run where a service account is attached.",
};
const FULL: ServiceFailure = {
  code: "INSUFFICIENT_STORAGE",
  hint: "Raise the project's quota, or free space: `backupctl list` shows what is old, `backupctl delete` removes it.",
};
const KEPT: ServiceFailure = {
  code: "RETENTION_POLICY_VIOLATION",
  hint: "The bucket keeps its objects for a time: try again when its retention policy or the object's hold has ended.",
};
const KMS: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check that the key in kms_key exists in the bucket's location, is enabled, and may be used by the project's storage service agent.",
};
const BILLING: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Look at the project's billing account in Google's console.",
};

/** Timeouts, too many calls; and names that were taken a moment ago, where nothing is now. */
const PASSING = new Set([408, 409, 412, 429]);

/** By Google's own word; those that are not here are told by their status. */
const FAILURES: Readonly<Record<string, ServiceFailure>> = {
  quotaExceeded: FULL,
  retentionPolicyNotMet: KEPT,
  objectUnderActiveHold: KEPT,
  accountDisabled: BILLING,
  cloudKmsKeyNotFound: KMS,
  cloudKmsDisabledKey: KMS,
  cloudKmsPermissionDenied: KMS,
};

/** The error of a failed call as the storage port promises it; what is none is returned as it came. */
export function asStorageError(error: unknown, place: GcsBucket, doing: string): unknown {
  return toStorageError(error, failureOf(error, place), { storage: place.storage, doing });
}

function failureOf(error: unknown, place: GcsBucket): ServiceFailure | undefined {
  if (error instanceof RefusedError) {
    const words = [error.reason, firstLine(error.message)].filter((word) => word !== "");
    const what = words.length === 0 ? statusWords(error.status) : [error.status, ...words].join(" ");
    return { what, ...hintOfStatus(error.status, place.peer), ...refusal(error, place) };
  }
  const network = networkFailure(error, place.peer, "ca_file");
  if (network !== undefined) return { code: "STORAGE_FAILED", ...network };
  if (!(error instanceof Error)) return undefined;
  return failedLogin(error) ?? unknownFailure(error, { service: "Google Cloud Storage", peer: place.peer });
}

function refusal({ status, reason, date }: RefusedError, { bucket }: GcsBucket): ServiceFailure {
  const known = FAILURES[reason] ?? (reason.toLowerCase().includes("kms") ? KMS : undefined);
  if (known !== undefined) return known;
  if (status === 401) return skewed(date) ?? WRONG_LOGIN;
  if (status === 403) return NOT_PERMITTED;
  // Of objects a missing one is no failure, so it is the bucket.
  if (status === 404) {
    return {
      code: "STORAGE_NOT_FOUND",
      what: `there is no bucket ${bucket}`,
      hint: `Correct the bucket's name, or make it: \`gcloud storage buckets create gs://${bucket} --location=…\`; with \`location\` in the config \`backupctl init\` does.`,
    };
  }
  return { code: "STORAGE_FAILED", retryable: status >= 500 || PASSING.has(status) };
}

/** No token was given, or none could be asked for. */
function failedLogin(error: Error): ServiceFailure | undefined {
  if (/^Could not load the default credentials|^Unable to detect a Project Id/.test(error.message)) {
    return { ...NO_LOGIN, what: "there is no login" };
  }
  if (error.message.includes("DECODER routines") || error.message.includes("PEM")) {
    return { ...WRONG_LOGIN, what: "the private key of the credentials is damaged" };
  }
  const answer = answerOf(error);
  if (answer === undefined) return undefined;
  const { status, date } = answer;
  const what = `no token was given: ${firstLine(error.message)}`;
  if (status >= 500 || status === 429) return { ...BUSY, what };
  return skewed(date) ?? { ...WRONG_LOGIN, what };
}

/** What a token endpoint answered, in the library's wrapping. */
function answerOf(error: Error): { readonly status: number; readonly date: string | null } | undefined {
  const response: unknown = "response" in error ? error.response : undefined;
  if (!(response instanceof Object && "status" in response && typeof response.status === "number")) return undefined;
  const headers: unknown = "headers" in response ? response.headers : undefined;
  return { status: response.status, date: headers instanceof Headers ? headers.get("date") : null };
}

function skewed(date: string | null): ServiceFailure | undefined {
  const skew = clockSkew(date);
  if (skew === undefined) return undefined;
  return { ...WRONG_CLOCK, what: skew };
}
