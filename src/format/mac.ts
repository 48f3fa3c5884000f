import { createHash, createHmac, timingSafeEqual } from "node:crypto";
import { canonicalJson } from "./canonical-json.ts";

/**
 * The `mac` of metadata and notes: over the canonical JSON of all members except `mac` and `signature`.
 * With a key `hmac-sha256:<hex>`; without one `sha256:<hex>`, which finds damage but no malice.
 */
export const MAC_PATTERN = /^(?:hmac-sha256|sha256):[0-9a-f]{64}$/;

export function macOf(content: Readonly<Record<string, unknown>>, macKey: Buffer | undefined): string {
  const { mac: _mac, signature: _signature, ...rest } = content;
  const text = canonicalJson(rest);
  return macKey === undefined
    ? `${kindOf(macKey)}${createHash("sha256").update(text).digest("hex")}`
    : `${kindOf(macKey)}${createHmac("sha256", macKey).update(text).digest("hex")}`;
}

function kindOf(macKey: Buffer | undefined): string {
  return macKey === undefined ? "sha256:" : "hmac-sha256:";
}

/** Whether the mac is one that somebody with this key, or without any, writes. */
export function isMacOfKind(mac: string, macKey: Buffer | undefined): boolean {
  return mac.startsWith(kindOf(macKey));
}

/**
 * False also when the mac is of the other kind: a plain hash never passes where a key is at hand, nor an HMAC without one. And
 * false for what has no canonical text, half a surrogate pair: no writer gave that a mac.
 */
export function isMacValid(
  content: Readonly<Record<string, unknown>>,
  mac: string,
  macKey: Buffer | undefined,
): boolean {
  const expected = Buffer.from(macIfAny(content, macKey) ?? "");
  const given = Buffer.from(mac);
  return expected.length === given.length && timingSafeEqual(expected, given);
}

function macIfAny(content: Readonly<Record<string, unknown>>, macKey: Buffer | undefined): string | undefined {
  try {
    return macOf(content, macKey);
  } catch (error) {
    if (!(error instanceof TypeError)) throw error;
    return undefined;
  }
}
