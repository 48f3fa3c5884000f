import { STATUS_CODES } from "node:http";
import { messageOf } from "../../errors.ts";
import { failedCall } from "../../platform/network-failure.ts";
import { firstLine, type ServiceFailure } from "./service-failure.ts";

/** Who was called. */
export interface CalledService {
  /** E.g. `an S3 service`. */
  readonly service: string;
  /** As the operator knows it, e.g. `https://s3.example.org`. */
  readonly peer: string;
}

/** An answer that the service would not give: from another program, a proxy, or the login page of a network. */
export class ForeignAnswer extends Error {
  override readonly name = "ForeignAnswer";
}

/** No service answers a call that succeeded with HTML. */
export function isPage(contentType: string | null | undefined): boolean {
  return /^\s*text\/html\b/i.test(contentType ?? "");
}

/** What a call ended with that neither the service nor the network has told. */
export function unknownFailure(error: Error, called: CalledService): ServiceFailure {
  const failure = { code: "STORAGE_FAILED", retryable: true } as const;
  const words = firstLine(messageOf(error));
  if (error instanceof ForeignAnswer || isNoHttp(error)) return foreignAnswer(called, words);
  // A client that goes through an answer of another kind stumbles: its words are for who wrote it.
  return isStumble(error) ? foreignAnswer(called) : { ...failure, what: words };
}

export function foreignAnswer({ service, peer }: CalledService, words = ""): ServiceFailure {
  return {
    code: "STORAGE_FAILED",
    retryable: true,
    what: `what answers there is not ${service}${words === "" ? "" : `: ${words}`}`,
    hint: foreignHint(peer),
  };
}

/** For a status that means that somebody between us and the service answers. */
export function hintOfStatus(status: number, peer: string): { readonly hint?: string } {
  const isBetween = (status >= 300 && status < 400) || status === 407 || status === 511;
  return isBetween ? { hint: foreignHint(peer) } : {};
}

/** E.g. `the answer was 302 Found`. */
export function statusWords(status: number): string {
  return `the answer was ${[status, STATUS_CODES[status] ?? ""].join(" ").trim()}`;
}

function foreignHint(peer: string): string {
  return `Look at the endpoint (${peer}), and whether a proxy or the login page of a network (a captive portal) answers in its place.`;
}

/** The bytes that came are no answer of any web service. */
export function isNoHttp(error: Error): boolean {
  return failedCall(error)?.code.startsWith("HPE_") === true;
}

function isStumble(error: Error): boolean {
  const stumbles = [TypeError, SyntaxError, RangeError];
  return stumbles.some((kind) => error instanceof kind) && failedCall(error) === undefined;
}
