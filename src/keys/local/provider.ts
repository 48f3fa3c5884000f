import type { z } from "zod";
import { BackupctlError } from "../../errors.ts";
import type { KeyProviderAdapter } from "../definition.ts";
import type { KeyProvider, KeyProviderContext } from "../key-provider.ts";
import { localKeyOptions } from "./options.ts";

const KEY_BYTES = 32;

export const localKeyAdapter: KeyProviderAdapter<typeof localKeyOptions> = {
  options: localKeyOptions,
  open: (options, context) => openLocalKey(options, context),
};

/**
 * A key that the operator holds. It has no public parameters, so `open` can't tell whose keys object it reads and always
 * delivers the key: whether it is the right one shows when the wrap opens or does not.
 */
function openLocalKey(options: z.output<typeof localKeyOptions>, context: KeyProviderContext): KeyProvider {
  return {
    provider: "local",
    name: context.name,
    seal: async () => ({ secret: decodeKey(options.key, context.name), parameters: {} }),
    open: async () => decodeKey(options.key, context.name),
  };
}

/** Decoded when used, not when configured: one bad key must not keep the others from opening a backup. */
function decodeKey(text: string, name: string): Buffer {
  const key = text.trim();
  if (/^[0-9a-f]{64}$/i.test(key)) return Buffer.from(key, "hex");
  if (/^[A-Za-z0-9+/_-]{43}=?$/.test(key)) return Buffer.from(key, "base64");
  const what = key === "" ? "is empty" : `is not ${KEY_BYTES} bytes in hex or base64 (it has ${key.length} characters)`;
  throw new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", `encryption key "${name}" ${what}`, {
    hint: "Give the key that the backups were made with; for a new repository make one with `openssl rand -hex 32`.",
  });
}
