import type { Lag } from "../../domain/copies.ts";
import type { ErrorCode } from "../../errors.ts";
import type { ProbeResult, StorageSpace } from "../../storage/storage.ts";

/** A row of `storage list`. */
export interface StorageSummary {
  readonly name: string;
  readonly type: string;
  readonly role: string;
  /** Without secrets; `undefined` where its options can't be read. */
  readonly address: string | undefined;
  /** How many backups are there whole, and damaged, by the catalog. */
  readonly copies: { readonly complete: number; readonly damaged: number };
  /** What is still to be copied there. */
  readonly lag: Lag;
  readonly storedBytes: number;
  readonly bytesByType: Readonly<Record<string, number>>;
  readonly space: StorageSpace;
  /** Why it could not be opened or asked, or can't be used: it holds no repository, or another one. */
  readonly problem:
    | { readonly code: ErrorCode; readonly message: string; readonly hint: string | undefined }
    | undefined;
}

export interface StorageCheckRequest {
  readonly name: string;
  /** Called after each step. */
  readonly onResult?: ((result: ProbeResult) => void) | undefined;
}

export interface StorageCheck {
  readonly name: string;
  readonly type: string;
  readonly address: string;
  readonly results: readonly ProbeResult[];
  /** Lines for the storage's section of the config. */
  readonly settings: readonly string[];
  readonly passed: boolean;
}
