import { lazyKeyProvider, type RegisteredKeyProvider } from "./definition.ts";

/** Every key provider that a config may name. */
export const keyProviderDefinitions: Readonly<Record<string, RegisteredKeyProvider>> = {
  local: lazyKeyProvider("local", async () => (await import("./local/provider.ts")).localKeyAdapter),
  passphrase: lazyKeyProvider("passphrase", async () => (await import("./passphrase/provider.ts")).passphraseAdapter),
};
