import { randomBytes, scrypt } from "node:crypto";
import type { z } from "zod";
import { BackupctlError } from "../../errors.ts";
import type { KeyProviderAdapter } from "../definition.ts";
import type { KeyProvider, KeyProviderContext } from "../key-provider.ts";
import { passphraseOptions } from "./options.ts";
import { decodeParameters, encodeParameters, NEW_COST, SALT_BYTES, type ScryptParameters } from "./parameters.ts";

const SECRET_BYTES = 32;

export const passphraseAdapter: KeyProviderAdapter<typeof passphraseOptions> = {
  options: passphraseOptions,
  open: (options, context) => openPassphrase(options, context),
};

/**
 * A secret derived by scrypt. Each derivation takes a good part of a second and 128 MiB, so each is made once per set of
 * parameters and instance, also when several readers ask at the same time.
 */
function openPassphrase(
  options: z.output<typeof passphraseOptions>,
  context: KeyProviderContext,
): KeyProvider & { readonly salt: Buffer } {
  const salt = context.salt ?? randomBytes(SALT_BYTES);
  const derived = new Map<string, Promise<Buffer>>();

  async function derive(parameters: ScryptParameters): Promise<Buffer> {
    const passphrase = requirePassphrase(options.passphrase, context.name);
    const id = JSON.stringify(encodeParameters(parameters));
    const secret = derived.get(id) ?? runScrypt(passphrase, parameters);
    derived.set(id, secret);
    // A copy, so that a caller who wipes the secret does not wipe it for the next.
    return Buffer.from(await secret);
  }

  return {
    provider: "passphrase",
    name: context.name,
    salt,
    seal: async () => {
      const parameters = { salt, ...NEW_COST };
      return { secret: await derive(parameters), parameters: encodeParameters(parameters) };
    },
    open: async (parameters) => await derive(decodeParameters(parameters)),
  };
}

/** Files and commands end their output with a line break that is not meant as part of it. */
function requirePassphrase(text: string, name: string): string {
  const passphrase = text.replace(/[\r\n]+$/, "");
  if (passphrase !== "") return passphrase;
  throw new BackupctlError("ENCRYPTION_KEY_NOT_FOUND", `passphrase of key "${name}" is empty`, {
    hint: "Give the passphrase that the backups were made with: passphrase, passphrase_file or passphrase_command.",
  });
}

function runScrypt(passphrase: string, { salt, n, r, p }: ScryptParameters): Promise<Buffer> {
  // Node refuses by default what takes more than 32 MiB; twice the need leaves room for its own accounting.
  const maxmem = 2 * 128 * r * (n + p);
  return new Promise((resolve, reject) => {
    scrypt(passphrase, salt, SECRET_BYTES, { N: n, r, p, maxmem }, (error, secret) => {
      if (error === null) resolve(secret);
      else reject(error);
    });
  });
}
