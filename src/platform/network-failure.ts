import { messageOf } from "../errors.ts";

/** What went wrong between this host and a service, below the protocol that they speak. */
export interface NetworkFailure {
  readonly what: string;
  readonly retryable: boolean;
  readonly hint?: string;
}

/** The connection could not be made, or was lost: the same call may succeed in a moment. */
const PASSING = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "EHOSTDOWN",
  "ENETUNREACH",
  "ENETDOWN",
  "ENETRESET",
  "EADDRNOTAVAIL",
  "EAI_AGAIN",
  "EMFILE",
  "ENFILE",
  "ERR_STREAM_PREMATURE_CLOSE",
]);

const UNTRUSTED = new Set([
  "DEPTH_ZERO_SELF_SIGNED_CERT",
  "SELF_SIGNED_CERT_IN_CHAIN",
  "UNABLE_TO_VERIFY_LEAF_SIGNATURE",
  "UNABLE_TO_GET_ISSUER_CERT",
  "UNABLE_TO_GET_ISSUER_CERT_LOCALLY",
  "CERT_SIGNATURE_FAILURE",
  "CERT_UNTRUSTED",
  "CERT_REJECTED",
  "INVALID_CA",
]);

/**
 * @param peer who was called, as the operator knows it, e.g. `https://s3.example.org`
 * @param ownCertificates the option that names a file of certificates to trust
 */
export function networkFailure(error: unknown, peer: string, ownCertificates: string): NetworkFailure | undefined {
  const found = failedCall(error);
  if (found === undefined) return undefined;
  const { code, message } = found;
  const known = tlsFailure(code, peer, ownCertificates) ?? lookupFailure(code, peer);
  if (known !== undefined) return { what: message, retryable: false, ...known };
  return PASSING.has(code) ? { what: message, retryable: true, ...refusal(code, peer) } : undefined;
}

function tlsFailure(code: string, peer: string, ownCertificates: string): { readonly hint: string } | undefined {
  if (UNTRUSTED.has(code)) {
    return {
      hint: `Nobody whom this host trusts has signed the certificate of ${peer}. If it is your own, name its CA's certificate in \`${ownCertificates}\`.`,
    };
  }
  if (code === "ERR_TLS_CERT_ALTNAME_INVALID") {
    return { hint: `The certificate is for another name. Call ${peer} by the name in its certificate.` };
  }
  if (code === "CERT_HAS_EXPIRED" || code === "CERT_NOT_YET_VALID") {
    return { hint: `Renew the certificate of ${peer}, or set this host's clock if that is wrong.` };
  }
  if (code === "EPROTO" || code.startsWith("ERR_SSL_")) {
    return { hint: `${peer} speaks no TLS that is safe (1.2 or newer), or none at that port.` };
  }
  return undefined;
}

function lookupFailure(code: string, peer: string): { readonly hint: string } | undefined {
  if (code !== "ENOTFOUND") return undefined;
  return { hint: `No such host is known. Check the name in ${peer}, and this host's DNS.` };
}

function refusal(code: string, peer: string): { readonly hint?: string } {
  return code === "ECONNREFUSED"
    ? { hint: `Nothing answers at ${peer}. Check address and port, and the firewall.` }
    : {};
}

/**
 * The error of the system call or the TLS library, which others wrap; where several addresses of one name were tried, of the first. The
 * message may name host and address, the code never does.
 */
export function failedCall(error: unknown): { readonly code: string; readonly message: string } | undefined {
  for (let at = error, depth = 0; at instanceof Error && depth < 5; depth++) {
    const first: unknown = at instanceof AggregateError ? at.errors[0] : undefined;
    if (first instanceof Error) {
      at = first;
      continue;
    }
    if ("code" in at && typeof at.code === "string" && /^[A-Z][A-Z0-9_]+$/.test(at.code)) {
      return { code: at.code, message: messageOf(at) };
    }
    at = at.cause;
  }
  return undefined;
}
