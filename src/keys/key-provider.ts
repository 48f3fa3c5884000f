/**
 * The key-provider port: delivers a 32-byte secret under which data keys are sealed (FORMAT, "Keys").
 *
 * `seal` makes or fetches a secret for a new wrap and returns, beside it, the public parameters that a reader needs to get
 * the same secret back; they are stored in the clear in the keys object. `open` returns that secret, or `undefined` if the
 * parameters belong to another key ("not mine"); it throws `ENCRYPTION_KEY_NOT_FOUND` if the key is configured but cannot be
 * read (missing file, wrong length), and `BACKUP_CORRUPTED` if the parameters are mine but malformed.
 */
export interface KeyProvider {
  /** The provider's type as written in keys objects: `local`, `passphrase`, … */
  readonly provider: string;
  /** The key's name in the configuration, as written in keys objects. */
  readonly name: string;
  /** Providers that derive their secret: the salt that `seal` uses. The caller keeps it and gives it back as `KeyProviderContext.salt`. */
  readonly salt?: Buffer;
  seal(): Promise<{ readonly secret: Buffer; readonly parameters: KeyParameters }>;
  open(parameters: KeyParameters): Promise<Buffer | undefined>;
}

export type KeyParameters = Readonly<Record<string, string | number>>;

export interface KeyProviderDefinition<Options = unknown> {
  readonly type: string;
  /** Lazily imported zod object schema of the options beside `provider`. */
  readonly options: () => Promise<unknown>;
  readonly open: (options: Options, context: KeyProviderContext) => Promise<KeyProvider>;
}

export interface KeyProviderContext {
  readonly name: string;
  readonly repositoryId: string;
  /** One salt a repository and passphrase, so that one derivation opens every backup; a random one is made where none is given. */
  readonly salt?: Buffer;
}
