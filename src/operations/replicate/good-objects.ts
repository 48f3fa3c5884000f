import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";

interface Surroundings {
  readonly signal: AbortSignal;
  /** Storages that do not answer any longer: nobody waits for them twice in a run. */
  readonly away: Set<Storage>;
  /** Something is damaged or missing there, and was had from another copy. */
  readonly onDamage: (storage: Storage, what: string) => void;
}

type Check = (bytes: Buffer, storage: Storage) => Promise<string | undefined> | string | undefined;

/** The objects of one backup, each from the first copy that has it right. */
export class GoodObjects {
  readonly #directory: string;
  readonly #copies: readonly Storage[];
  readonly #surroundings: Surroundings;

  constructor(directory: string, copies: readonly Storage[], surroundings: Surroundings) {
    this.#directory = directory;
    this.#copies = copies;
    this.#surroundings = surroundings;
  }

  /**
   * @param most what the object can have, in bytes: of more no more is read
   * @param defectOf in words that follow the object's name; `undefined` for the right bytes
   * @throws `BACKUP_CORRUPTED` if it is right in none of them; why they can't be read, if none of them can
   */
  async read(name: string, most: number, defectOf: Check, signal = this.#surroundings.signal): Promise<Buffer> {
    const { away, onDamage } = this.#surroundings;
    const key = `${this.#directory}/${name}`;
    const damages: { readonly storage: Storage; readonly what: string }[] = [];
    let failure: BackupctlError | undefined;
    for (const storage of this.#copies.filter((copy) => !away.has(copy))) {
      try {
        const bytes = await storage.get(key, { offset: 0, length: most + 1 }, { signal });
        const defect = bytes === undefined ? "is missing" : await defectOf(bytes, storage);
        if (bytes !== undefined && defect === undefined) {
          for (const damage of damages) onDamage(damage.storage, damage.what);
          return bytes;
        }
        damages.push({ storage, what: `${key} in storage "${storage.name}" ${defect}` });
      } catch (error) {
        signal.throwIfAborted();
        if (!isBackupctlError(error)) throw error;
        away.add(storage);
        failure ??= error;
      }
    }
    throw (
      failure ??
      damaged(
        key,
        damages.map(({ what }) => what),
      )
    );
  }
}

function damaged(key: string, damages: readonly string[]): BackupctlError {
  const message = damages.length === 0 ? `no storage that answers has ${key}` : damages.join("; ");
  return new BackupctlError(damages.length === 0 ? "STORAGE_FAILED" : "BACKUP_CORRUPTED", message, {
    hint: "No copy at hand is good. Bring one back, or make a new full backup: `backupctl create`.",
  });
}
