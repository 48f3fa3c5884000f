import type { Catalog } from "../../catalog/catalog.ts";
import type { BackupMetadata } from "../../domain/backup.ts";
import { parseNumberedName } from "../../domain/object-names.ts";
import { BackupctlError, isBackupctlError } from "../../errors.ts";
import type { Storage } from "../../storage/storage.ts";
import { type Repository, readDataKey } from "../repository/repository.ts";
import { isUnreachable } from "../repository/unreachable.ts";
import type { Session } from "../session.ts";
import type { Proof } from "./proofs.ts";

export interface Copying {
  readonly session: Session;
  readonly repository: Repository;
  readonly catalog: Catalog;
  /** Storages that do not answer any longer: nobody waits for them twice in a run. */
  readonly away: Set<Storage>;
  readonly warn: (message: string) => void;
}

export interface GoodObject {
  readonly bytes: Buffer;
  /** That it is from. */
  readonly storage: Storage;
}

/** The objects of one backup, each from the first copy that has it right. What another copy has wrong is said, and noted in the catalog. */
export class GoodObjects {
  readonly #copying: Copying;
  readonly #backup: BackupMetadata;
  readonly #copies: readonly Storage[];
  readonly #signal: AbortSignal;

  /** @param copies the best first */
  constructor(
    copying: Copying,
    backup: BackupMetadata,
    copies: readonly Storage[],
    signal: AbortSignal = copying.session.signal,
  ) {
    this.#copying = copying;
    this.#backup = backup;
    this.#copies = copies;
    this.#signal = signal;
  }

  /** What any copy's keys objects give to the keys at hand; `undefined` where that is nothing. */
  async dataKey(): Promise<Buffer | undefined> {
    for (const storage of this.#answering()) {
      try {
        return await readDataKey(this.#copying.repository, storage, this.#backup);
      } catch (error) {
        this.#signal.throwIfAborted();
        if (!isBackupctlError(error)) throw error;
        if (isUnreachable(error)) this.#leaveOut(storage, error);
      }
    }
    return undefined;
  }

  /** @throws `BACKUP_CORRUPTED` if it is right in none of them; why they can't be read, if one of them can't */
  async read(proof: Proof): Promise<GoodObject> {
    const signal = this.#signal;
    const key = `${this.#backup.storage_path}/${proof.name}`;
    const damages: { readonly storage: Storage; readonly what: string }[] = [];
    const good: GoodObject[] = [];
    let failure: BackupctlError | undefined;
    for (const storage of this.#answering()) {
      try {
        const bytes = await storage.get(key, { offset: 0, length: proof.mostBytes + 1 }, { signal });
        const defect = bytes === undefined ? "is missing" : await proof.defectOf(bytes);
        if (bytes !== undefined && defect === undefined) good.push({ bytes, storage });
        else if (bytes !== undefined || parseNumberedName(proof.name) === undefined)
          damages.push({ storage, what: `${key} in storage "${storage.name}" ${defect}` });
      } catch (error) {
        signal.throwIfAborted();
        if (!isBackupctlError(error)) throw error;
        this.#leaveOut(storage, error);
        failure ??= error;
      }
      if (good.length > 0 && proof.mustAgree !== true) break;
    }
    const [first] = good;
    if (first === undefined) {
      this.#rememberAll(proof, damages);
      throw failure ?? rightNowhere(key, damages);
    }
    requireAgreement(key, first, good);
    for (const { storage, what } of damages) this.#sayDamage(storage, what);
    return first;
  }

  #answering(): readonly Storage[] {
    return this.#copies.filter((copy) => !this.#copying.away.has(copy));
  }

  #leaveOut(storage: Storage, error: BackupctlError): void {
    // That is so of single objects.
    if (error.code === "OBJECT_COLD") return;
    this.#copying.away.add(storage);
    this.#copying.repository.leaveOut(storage.name, error);
  }

  #sayDamage(storage: Storage, what: string): void {
    const { id } = this.#backup;
    const mend = `backupctl verify ${id} --storage ${storage.name} --repair`;
    this.#copying.warn(`${what}; another copy of it is used. Repair it: \`${mend}\``);
    this.#remember(storage);
  }

  /** Keys and notes that no key at hand proves need not be damaged. */
  #rememberAll({ name }: Proof, damages: readonly { readonly storage: Storage }[]): void {
    if (parseNumberedName(name) === undefined) for (const { storage } of damages) this.#remember(storage);
  }

  #remember({ name }: Storage): void {
    const { catalog, session } = this.#copying;
    catalog.setCopy({
      backupId: this.#backup.id,
      storage: name,
      state: "damaged",
      at: session.clock.now().toISOString(),
    });
  }
}

function requireAgreement(key: string, { bytes, storage }: GoodObject, all: readonly GoodObject[]): void {
  const other = all.find((each) => !each.bytes.equals(bytes));
  if (other === undefined) return;
  const where = `${key} in storage "${storage.name}" differs from the one in storage "${other.storage.name}"`;
  throw new BackupctlError("BACKUP_CORRUPTED", `${where}, and no key at hand tells which is right`, {
    hint: "Run it again where a key that opens the backup is configured.",
  });
}

function rightNowhere(key: string, damages: readonly { readonly what: string }[]): BackupctlError {
  const message = damages.map(({ what }) => what).join("; ");
  return new BackupctlError(
    damages.length === 0 ? "STORAGE_FAILED" : "BACKUP_CORRUPTED",
    damages.length === 0 ? `no storage that answers has ${key}` : message,
    { hint: "No copy at hand is good. Bring one back, or make a new full backup: `backupctl create`." },
  );
}
