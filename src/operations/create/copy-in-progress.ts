import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { ObjectMemory } from "../../format/pack-assembler.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { putChecked, type WholeObject } from "../repository/put-checked.ts";
import { isUnremovable } from "../repository/unremovable.ts";

/** A copy that is further behind the leading one is left to `replicate`: it must not hold up the run, nor fill the memory. */
export const MOST_BEHIND = 2;

/** Where the run has to wait for a copy that follows, it does so for as long as this. */
export const PATIENCE_MS = 20_000;

/** Why the copy in a storage can't stay. */
export type Objection = (storage: Storage, options: OperationOptions) => Promise<BackupctlError | undefined>;

/** What is to be no part of the backup. */
export interface LeftOut {
  readonly keys: readonly string[];
  /** The storage does not let go of it, which harms nothing there. */
  readonly onStays: (reason: BackupctlError) => void;
}

interface CopySettings {
  readonly warn: (message: string) => void;
  /** Of the run. */
  readonly signal: AbortSignal;
}

/**
 * What one storage has of the backup that is being made. It is given up at its first failure; unless it leads, also when its storage
 * tries again, or is too far behind.
 */
export class CopyInProgress {
  readonly storage: Storage;
  /** The one that the run waits for. */
  leads: boolean;
  readonly #settings: CopySettings;
  readonly #ending = new AbortController();
  readonly #signal: AbortSignal;
  readonly #underWay = new Map<string, Promise<void>>();
  /** Of those under way the ones that the leading copy has. */
  readonly #behind = new Set<string>();
  #leftOut: readonly LeftOut[] = [];
  #failure: { readonly error: unknown } | undefined;

  constructor(storage: Storage, leads: boolean, settings: CopySettings) {
    this.storage = storage;
    this.leads = leads;
    this.#settings = settings;
    this.#signal = AbortSignal.any([settings.signal, this.#ending.signal]);
  }

  /** Why it was given up. */
  get failure(): { readonly error: unknown } | undefined {
    return this.#failure;
  }

  /** Ends when the object is there, or the copy is given up: `failure` tells. */
  put(object: WholeObject, memory?: ObjectMemory): Promise<void> {
    memory?.hold();
    const work = this.#put(object).finally(() => {
      memory?.release();
      this.#underWay.delete(object.key);
      this.#behind.delete(object.key);
    });
    this.#underWay.set(object.key, work);
    return work;
  }

  async #put(object: WholeObject): Promise<void> {
    try {
      await putChecked(this.storage, object, this.#settings.warn, this.patience);
    } catch (error) {
      this.giveUp(error);
    }
  }

  /** For calls of its storage: they end when the run does, or the copy is given up. */
  get patience(): OperationOptions {
    return { signal: this.#signal, onRetry: this.#onRetry };
  }

  /** For what comes after the end of the run. */
  get clearing(): OperationOptions {
    return this.#failure === undefined ? { signal: this.#ending.signal, onRetry: this.#onRetry } : {};
  }

  readonly #onRetry = ({ error }: { readonly error: BackupctlError }): void => {
    if (!this.leads) this.giveUp(error);
  };

  /** What `objection` has against this copy; `undefined` also where the copy is given up, because its storage fails. */
  async ask(objection: Objection): Promise<BackupctlError | undefined> {
    try {
      return await objection(this.storage, this.patience);
    } catch (error) {
      this.giveUp(error);
      return undefined;
    }
  }

  /** The leading copy has this object. */
  isBehind(key: string): void {
    if (!this.#underWay.has(key) || this.#failure !== undefined) return;
    this.#behind.add(key);
    if (this.#behind.size <= MOST_BEHIND) return;
    this.giveUp(new BackupctlError("STORAGE_FAILED", `it fell ${this.#behind.size} objects behind`));
  }

  /** For `clear` to remove. */
  leaveOut(leftOut: LeftOut): void {
    this.#leftOut = [...this.#leftOut, leftOut];
  }

  /** Removes what was left out, once nothing is under way. Unless it leads, it is given up where its storage fails at that. */
  async clear(): Promise<void> {
    await this.settled();
    const all = this.#leftOut;
    this.#leftOut = [];
    for (const { keys, onStays } of all) {
      try {
        for (const key of keys) await this.storage.remove(key, this.patience);
      } catch (error) {
        if (!isBackupctlError(error)) throw error;
        if (this.leads || isUnremovable(error)) onStays(error);
        else this.giveUp(error);
      }
    }
  }

  /** As `giveUp`, where anything is under way. */
  breakOff(): void {
    if (this.#underWay.size > 0) this.giveUp(new BackupctlError("STORAGE_FAILED", "the run ended before it had all"));
  }

  /** Its puts end; it keeps what it has. */
  giveUp(error: unknown): void {
    this.#failure ??= { error };
    this.#ending.abort(error);
  }

  /** Nothing is under way any longer. */
  async settled(): Promise<void> {
    await Promise.all(this.#underWay.values());
  }
}
