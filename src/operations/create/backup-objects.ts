import { METADATA_NAME, parsePackName } from "../../domain/object-names.ts";
import { withoutName } from "../../domain/storage-messages.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../../errors.ts";
import type { ObjectMemory } from "../../format/pack-assembler.ts";
import { sha256Hex } from "../../format/workers/hashing.ts";
import { systemSleep } from "../../platform/clock.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { listObjects } from "../repository/lineage-check.ts";
import { CopyInProgress, type LeftOut, type Objection } from "./copy-in-progress.ts";
import { takesNoPart } from "./lead.ts";

interface WrittenObject {
  readonly sizeBytes: number;
  readonly sha256: string;
}

interface Surroundings {
  readonly warn: (message: string) => void;
  readonly signal: AbortSignal;
}

/**
 * The directory of the backup that is being made, in every storage of the run: knows all that was put there. The run waits for the
 * leading copy, which is the first's as long as that does not fail, then the next one's that has all. The others follow from the same
 * memory, or are given up.
 */
export class BackupObjects {
  readonly directory: string;
  /** First that which leads at first. */
  readonly #copies: readonly CopyInProgress[];
  readonly #surroundings: Surroundings;
  readonly #written = new Map<string, WrittenObject>();
  /** No part of the backup: may lie in a storage that lets go of nothing, or has not yet. */
  readonly #leftOut = new Set<string>();
  readonly #underWay = new Set<Promise<unknown>>();
  readonly #compared = new Set<CopyInProgress>();

  constructor(directory: string, storages: readonly Storage[], surroundings: Surroundings) {
    this.directory = directory;
    this.#copies = storages.map((storage, i) => new CopyInProgress(storage, i === 0, surroundings));
    this.#surroundings = surroundings;
  }

  /** Storages whose copy was given up, with the reason: something of this run may lie there. */
  get givenUp(): ReadonlyMap<Storage, unknown> {
    return new Map(
      this.#copies.flatMap(({ storage, failure }) =>
        failure === undefined ? [] : [[storage, failure.error] as const],
      ),
    );
  }

  /** The leading one first. */
  get storages(): readonly Storage[] {
    return this.#live.map(({ storage }) => storage);
  }

  /** @throws why the first copy was given up, if all are */
  get lead(): Storage {
    return this.#lead.storage;
  }

  get totalBytes(): number {
    return [...this.#written.values()].reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
  }

  get count(): number {
    return this.#written.size;
  }

  /** Name and SHA-256 of every pack, for SHA256SUMS. */
  packSums(): ReadonlyMap<string, string> {
    const packs = [...this.#written].filter(([name]) => parsePackName(name) !== undefined);
    return new Map(packs.map(([name, { sha256 }]) => [name, sha256]));
  }

  get #live(): readonly CopyInProgress[] {
    return this.#copies.filter(({ failure }) => failure === undefined);
  }

  get #lead(): CopyInProgress {
    const { signal, warn } = this.#surroundings;
    signal.throwIfAborted();
    const [first] = this.#copies;
    const error = first?.failure?.error;
    const [lead] = this.#live;
    // Neither a mistake of the program nor this host's clock is a storage that fails.
    const isItsOwn = error === undefined || (isBackupctlError(error) && error.code !== "CLOCK_SKEWED");
    if (lead === undefined || !isItsOwn) throw error;
    if (!lead.leads) {
      lead.leads = true;
      const { name } = first?.storage ?? lead.storage;
      const reason = withoutName(name, messageOf(error));
      warn(`storage "${name}" failed (${reason}): the backup goes on in "${lead.storage.name}"`);
    }
    return lead;
  }

  /** Returns when the leading copy has it. Packs come with their SHA-256, in hex: it takes a while. @throws as `lead` */
  async put(name: string, bytes: Uint8Array, sha256 = sha256Hex(bytes), memory?: ObjectMemory): Promise<void> {
    const work = this.#putEverywhere(name, { bytes, sha256 }, memory);
    this.#underWay.add(work);
    try {
      await work;
    } finally {
      this.#underWay.delete(work);
    }
  }

  async #putEverywhere(
    name: string,
    { bytes, sha256 }: { readonly bytes: Uint8Array; readonly sha256: string },
    memory?: ObjectMemory,
  ): Promise<void> {
    const key = `${this.directory}/${name}`;
    // Before the first put: what may have come to lie there must be found by `discard`.
    this.#written.set(name, { sizeBytes: bytes.length, sha256 });
    const puts = new Map(this.#live.map((copy) => [copy, copy.put({ key, bytes, sha256 }, memory)]));
    await this.#withLead(async (lead) => puts.get(lead));
    for (const copy of this.#live) if (!copy.leads) copy.isBehind(key);
  }

  /** Has `work` done for the leading copy: for the next one, where that fails at it. */
  async #withLead(work: (lead: CopyInProgress) => Promise<void>): Promise<void> {
    for (;;) {
      const lead = this.#lead;
      await work(lead);
      if (lead.failure === undefined) return;
    }
  }

  /** Every object lies in the leading copy, with its name and size, and nothing else. @throws `STORAGE_FAILED`, and as `lead` */
  async requireComplete(): Promise<void> {
    await this.#withLead((lead) => this.#complete(lead));
  }

  /** Puts metadata.json, which makes the backup exist: into the leading copy, then into each other one that has all else. */
  async commit(bytes: Uint8Array): Promise<void> {
    const sha256 = sha256Hex(bytes);
    const putInto = async (copy: CopyInProgress): Promise<void> => {
      await this.#complete(copy);
      if (copy.failure === undefined) await copy.put({ key: `${this.directory}/${METADATA_NAME}`, bytes, sha256 });
    };
    this.#written.set(METADATA_NAME, { sizeBytes: bytes.length, sha256 });
    await this.#withLead(putInto);
    await Promise.all(this.#live.filter(({ leads }) => !leads).map(putInto));
  }

  /** Waits for the copies that follow, but no longer than `ms`: gives up those that have not all by then, and says so. */
  async waitForOthers(ms: number): Promise<void> {
    const others = this.#copies.filter(({ leads }) => !leads);
    await this.#within(ms, (copy) => copy.settled());
    for (const { storage, failure } of others) {
      if (failure === undefined) continue;
      this.#surroundings.warn(takesNoPart(storage.name, messageOf(failure.error)));
    }
  }

  /** Has `work` done for the copies that follow; gives up those for which that takes longer than `ms`. */
  async #within(ms: number, work: (copy: CopyInProgress) => Promise<void>): Promise<void> {
    const waiting = new Set(this.#live.filter(({ leads }) => !leads));
    const enough = new AbortController();
    const giveUpLate = (): void => {
      const error = new BackupctlError("STORAGE_FAILED", `it does not answer for ${ms / 1000} seconds`);
      for (const copy of waiting) copy.giveUp(error);
    };
    const late = systemSleep(ms, enough.signal).then(giveUpLate, () => undefined);
    const all = [...waiting].map((copy) => work(copy).finally(() => waiting.delete(copy)));
    try {
      await Promise.race([Promise.all(all), late]);
    } finally {
      enough.abort();
    }
  }

  /** What there is against the leading copy ends the run. @throws the objection, and as `lead` */
  async confirmLead(objection: Objection): Promise<void> {
    await this.#withLead(async (lead) => {
      const reason = await lead.ask(objection);
      if (reason !== undefined) throw reason;
    });
  }

  /** As `confirmLead`, after `commit`; any other copy that there is something against is given up. */
  async confirm(objection: Objection): Promise<void> {
    await this.confirmLead(objection);
    const others = this.#live.filter(({ leads }) => !leads);
    await Promise.all(
      others.map(async (copy) => {
        const reason = await copy.ask(objection);
        if (reason !== undefined) copy.giveUp(reason);
      }),
    );
  }

  async #complete(copy: CopyInProgress): Promise<void> {
    await copy.settled();
    if (copy.failure !== undefined || this.#compared.has(copy)) return;
    try {
      await copy.clear();
      await this.#compare(copy.storage);
      this.#compared.add(copy);
    } catch (error) {
      copy.giveUp(error);
    }
  }

  async #compare(storage: Storage): Promise<void> {
    const missing = new Set(this.#written.keys());
    missing.delete(METADATA_NAME);
    for await (const { key, sizeBytes } of storage.list(this.directory)) {
      const name = key.slice(this.directory.length + 1);
      const written = this.#written.get(name);
      missing.delete(name);
      if (written?.sizeBytes === sizeBytes || this.#leftOut.has(name)) continue;
      const what =
        written === undefined
          ? "was not written by this run"
          : `has ${sizeBytes} bytes instead of ${written.sizeBytes}`;
      throw new BackupctlError("STORAGE_FAILED", `${key} in storage "${storage.name}" ${what}`, {
        hint: hintFor(storage),
      });
    }
    const [first] = missing;
    if (first === undefined) return;
    throw new BackupctlError(
      "STORAGE_FAILED",
      `${this.directory}/${first} is missing in storage "${storage.name}" after its put`,
      { hint: hintFor(storage) },
    );
  }

  /** metadata.json may lie in a storage: where it does there is a backup. */
  get mayExist(): boolean {
    return this.#written.has(METADATA_NAME);
  }

  /**
   * Removes what is to be no part of the backup: from the leading copy now, from each other one as soon as that has all, for which nothing
   * waits. @throws as `lead`
   */
  async leaveOut(isMeant: (name: string) => boolean, onStays: LeftOut["onStays"] = () => undefined): Promise<void> {
    await Promise.allSettled(this.#underWay);
    const names = [...this.#written.keys()].filter(isMeant);
    for (const name of names) {
      this.#written.delete(name);
      this.#leftOut.add(name);
    }
    const keys = names.map((name) => `${this.directory}/${name}`);
    for (const copy of this.#live) copy.leaveOut({ keys, onStays });
    await this.#withLead((lead) => lead.clear());
  }

  /**
   * Removes what a source has put that is begun anew: its names are free then. A copy that follows is given up where that takes longer
   * than `ms`. @throws why the leading copy's storage does not let go of it, and as `lead`
   */
  async takeBack(prefix: string, ms: number): Promise<void> {
    await Promise.allSettled(this.#underWay);
    const names = [...this.#written.keys(), ...this.#leftOut].filter((name) => name.startsWith(prefix));
    await this.#remove(this.#lead, names);
    await this.#within(ms, (copy) => this.#remove(copy, names, copy.patience));
    for (const name of names) this.#written.delete(name);
  }

  /**
   * Removes the whole run: metadata.json first, once nothing is under way. A copy that follows is given up where anything is: it may take
   * long, and is for nothing. @throws why the leading copy's storage does not let go of it; all others were tried by then
   */
  async discard(): Promise<void> {
    await Promise.allSettled(this.#underWay);
    for (const copy of this.#copies) if (!copy.leads) copy.breakOff();
    await Promise.all(this.#copies.map((copy) => copy.settled()));
    const names = [...this.#written.keys(), ...this.#leftOut].sort(
      (a, b) => Number(b === METADATA_NAME) - Number(a === METADATA_NAME),
    );
    const [first] = this.#copies;
    // The first decides, also where it failed; what lies in others that were given up is cleared by their listing.
    const copies = this.#copies.filter((copy) => copy.failure === undefined || copy === first);
    const results = await Promise.allSettled(copies.map((copy) => this.#remove(copy, names, copy.clearing)));
    for (const result of results) if (result.status === "rejected") throw result.reason;
    this.#written.clear();
  }

  async #remove(copy: CopyInProgress, names: readonly string[], options?: OperationOptions): Promise<void> {
    try {
      await copy.settled();
      for (const name of names) await copy.storage.remove(`${this.directory}/${name}`, options);
    } catch (error) {
      if (!copy.leads) copy.giveUp(error);
      // A login that may not write may not remove either: what never came need not go.
      else if ((await listObjects(copy.storage, this.directory)).size > 0) throw error;
    }
  }
}

function hintFor({ name }: Storage): string {
  return `Look whether the storage keeps what it is given, with \`backupctl storage check ${name}\`, then run backupctl create again.`;
}
