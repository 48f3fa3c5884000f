import { RestError } from "@azure/storage-blob";
import { networkFailure } from "../../platform/network-failure.ts";
import { clockSkew } from "../network/clock-skew.ts";
import {
  foreignAnswer,
  hintOfStatus,
  isNoHttp,
  isPage,
  statusWords,
  unknownFailure,
} from "../network/foreign-answer.ts";
import { BUSY, firstLine, type ServiceFailure, toStorageError, WRONG_CLOCK } from "../network/service-failure.ts";

/** What an error message says of the place. */
export interface AzureContainer {
  /** The storage's name in the configuration. */
  readonly storage: string;
  readonly container: string;
  /** Whom we call, e.g. `https://example.blob.core.windows.net`. */
  readonly peer: string;
  /** The SAS that we log in with, if it is one. */
  readonly sas: string | undefined;
}

const NOT_PERMITTED: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "The login may not do this. docs/storage/azure.md has the permissions and the role that backupctl needs.",
};
const NO_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "No login was found. Give account_key, sas or connection_string; or run where a managed identity, `az login` or AZURE_CLIENT_ID and its like are.",
};
const WRONG_LOGIN: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check account and account_key; or that the SAS is whole, for this container, and not revoked.",
};
const NOT_FROM_HERE: ServiceFailure = {
  code: "STORAGE_DENIED",
  hint: "Check the login and its permissions (docs/storage/azure.md), and whether the account's firewall lets this host in.",
};
const FULL: ServiceFailure = {
  code: "INSUFFICIENT_STORAGE",
  hint: "Raise the account's limit, or free space: `backupctl list` shows what is old, `backupctl delete` removes it.",
};
const KEPT: ServiceFailure = {
  code: "RETENTION_POLICY_VIOLATION",
  hint: "The container keeps its objects for a time: try again when its immutability policy or legal hold has ended.",
};

/** By the service's own code. */
const FAILURES: Readonly<Record<string, ServiceFailure>> = {
  AuthorizationPermissionMismatch: NOT_PERMITTED,
  AuthorizationResourceTypeMismatch: NOT_PERMITTED,
  AuthorizationServiceMismatch: NOT_PERMITTED,
  InsufficientAccountPermissions: NOT_PERMITTED,
  AuthorizationSourceIPMismatch: {
    code: "STORAGE_DENIED",
    hint: "The SAS is for other IP addresses than this host's. Make one for this host.",
  },
  AuthorizationProtocolMismatch: { code: "STORAGE_DENIED", hint: "The SAS wants https://. Use it in the endpoint." },
  KeyBasedAuthenticationNotPermitted: {
    code: "STORAGE_DENIED",
    hint: "The account allows no keys. Leave account_key out, and use a managed identity or `az login`.",
  },
  NoAuthenticationInformation: NO_LOGIN,
  AccountIsDisabled: {
    code: "STORAGE_DENIED",
    hint: "The storage account is disabled. Look at its subscription in the portal.",
  },
  ServerBusy: BUSY,
  InternalError: BUSY,
  OperationTimedOut: BUSY,
  ContainerBeingDeleted: BUSY,
  // The bytes were damaged on their way.
  Md5Mismatch: BUSY,
  // The name is taken, or was: nothing is there now.
  BlobAlreadyExists: BUSY,
  ConditionNotMet: BUSY,
  BlobArchived: {
    code: "OBJECT_COLD",
    hint: "It lies in the tier Archive. `backupctl restore`, `download` and `verify --storage NAME` ask for packs that do; anything else a lifecycle rule has moved there: bring it back with `az storage blob set-tier`, and exempt it from that rule.",
  },
  BlobImmutableDueToPolicy: KEPT,
  BlobImmutableDueToLegalHold: KEPT,
  InvalidBlobTier: { code: "STORAGE_FAILED", hint: "The account has no such tier. Take another one, or leave it out." },
};

/** The error of a failed call as the storage port promises it; what is none is returned as it came. */
export function asStorageError(error: unknown, place: AzureContainer, doing: string): unknown {
  return toStorageError(error, failureOf(error, place), { storage: place.storage, doing });
}

/** The service's own code, which answers without a body have in a header. */
export function codeOf(error: unknown): string {
  if (!(error instanceof RestError)) return "";
  return error.response?.headers.get("x-ms-error-code") ?? error.code ?? "";
}

/** What the service may say where a name is taken; the last two to a login that may make new objects only. */
const TAKEN = new Set([
  "BlobAlreadyExists",
  "ConditionNotMet",
  "UnauthorizedBlobOverwrite",
  "AuthorizationPermissionMismatch",
]);

export function isTaken(error: unknown): boolean {
  return TAKEN.has(codeOf(error));
}

function failureOf(error: unknown, place: AzureContainer): ServiceFailure | undefined {
  const network = networkFailure(error, place.peer, "ca_file");
  if (network !== undefined) return { code: "STORAGE_FAILED", ...network };
  if (!(error instanceof Error)) return undefined;
  // What @azure/identity throws, whichever way of logging in it tried.
  if (/^(?:AggregateAuthentication|CredentialUnavailable|Authentication(?:Required)?)Error$/.test(error.name)) {
    return { ...NO_LOGIN, what: firstLine(error.message) };
  }
  const called = { service: "Azure's Blob Storage", peer: place.peer };
  if (!(error instanceof RestError)) return unknownFailure(error, called);
  const code = codeOf(error);
  const status = error.statusCode;
  if (status === undefined) {
    return isNoHttp(error)
      ? unknownFailure(error, called)
      : { ...BUSY, what: `the answer broke off: ${firstLine(error.message)}` };
  }
  // What the SDK says of an answer that it can't read, or does not expect, has all of it.
  if (status < 300) {
    return isXml(error) ? { ...BUSY, what: "the answer broke off" } : foreignAnswer(called);
  }
  const words = [code, firstLine(error.message)].filter((it) => it !== "");
  const isUnreadable = code === RestError.PARSE_ERROR || isPage(error.response?.headers.get("content-type"));
  const what = words.length === 0 || isUnreadable ? statusWords(status) : words.join(": ");
  const known = FAILURES[code] ?? special(code, error, place);
  return { what, ...(known ?? { ...byStatus(status), ...hintOfStatus(status, place.peer) }) };
}

function isXml({ response }: RestError): boolean {
  return /^[^<]{0,3}<(?:\?xml|EnumerationResults)/.test(response?.bodyAsText ?? "");
}

/** Those that need more than the code to be told apart. */
function special(code: string, error: RestError, place: AzureContainer): ServiceFailure | undefined {
  if (code === "ContainerNotFound") {
    return {
      code: "STORAGE_NOT_FOUND",
      what: `there is no container ${place.container}`,
      hint: "Correct account and container, or make it with `backupctl init`.",
    };
  }
  if (code === "ResourceNotFound") {
    return {
      code: "STORAGE_FAILED",
      hint: `Correct account and endpoint (${place.peer}). An emulator's endpoint ends with the account: http://127.0.0.1:10000/ACCOUNT.`,
    };
  }
  if (/Quota|CapacityExceeded|InsufficientStorage/.test(code)) return FULL;
  if (code !== "AuthenticationFailed" && code !== "AuthorizationFailure") return undefined;
  return (
    untimely(error.response?.headers.get("date"), place.sas) ??
    (code === "AuthorizationFailure" ? NOT_FROM_HERE : WRONG_LOGIN)
  );
}

/** The login would be right at another time. */
function untimely(now: string | undefined, sas: string | undefined): ServiceFailure | undefined {
  const expiry = new URLSearchParams(sas ?? "").get("se") ?? "";
  if (Date.parse(expiry) < Date.parse(now ?? "")) {
    return { code: "STORAGE_DENIED", what: `the SAS has expired at ${expiry}`, hint: "Make a new SAS." };
  }
  const skew = clockSkew(now);
  return skew === undefined ? undefined : { ...WRONG_CLOCK, what: skew };
}

function byStatus(status: number): ServiceFailure {
  if (status === 401 || status === 403) return NOT_PERMITTED;
  if (status === 507) return FULL;
  return { code: "STORAGE_FAILED", retryable: status >= 500 || status === 429 || status === 408 };
}
