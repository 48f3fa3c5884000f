import type { Catalog } from "../../catalog/catalog.ts";
import { BackupctlError, messageOf } from "../../errors.ts";
import type { OperationOptions, Storage } from "../../storage/storage.ts";
import { findLackingMember } from "../repository/lineage-check.ts";
import type { Repository } from "../repository/repository.ts";
import { takesNoPart } from "./lead.ts";
import type { PreparedCreate } from "./plan.ts";
import { requireRoom } from "./room.ts";

/** A replica is opened and looked at while the run waits, which it does for its primary only. */
const OPENING_MS = 20_000;

interface Opening {
  readonly repository: Repository;
  readonly catalog: Catalog;
  readonly prepared: PreparedCreate;
  readonly warn: (message: string) => void;
}

interface OpenedCopies {
  /** The leading one first. */
  readonly storages: readonly Storage[];
  /** The names of those that take no part. */
  readonly absent: readonly string[];
}

/**
 * The storages that a run writes to: those that can be opened, have room, and have all that the backup builds on. Wrong logins,
 * missing places and clocks that are off are met here, before anything is read. So are mistakes of an adapter, which end the run
 * when the copies are completed: once the backup is whole in the others.
 */
export async function openCopies(opening: Opening): Promise<OpenedCopies> {
  const { prepared, warn } = opening;
  const { storage: lead, passedOver } = prepared.lead;
  const storages = [lead];
  const absent = [...passedOver.keys()];
  const replicas = prepared.storages.filter((name) => name !== lead.name && !passedOver.has(name));
  const looks = await Promise.allSettled(replicas.map((name) => openSoon(opening, name)));
  for (const [i, look] of looks.entries()) {
    const name = replicas[i] ?? "";
    const warning =
      look.status === "rejected"
        ? takesNoPart(name, messageOf(look.reason))
        : (sameAs(storages, look.value.storage) ?? look.value.warning);
    if (warning !== undefined) {
      absent.push(name);
      warn(warning);
    } else if (look.status === "fulfilled") storages.push(look.value.storage);
  }
  return { storages, absent };
}

interface Look {
  readonly storage: Storage;
  /** What to say where it is not written to. */
  readonly warning: string | undefined;
}

async function openSoon(opening: Opening, name: string): Promise<Look> {
  const tooLate = new AbortController();
  const late = Promise.withResolvers<never>();
  const timer = setTimeout(() => {
    const error = new BackupctlError("STORAGE_FAILED", `it does not answer for ${OPENING_MS / 1000} seconds`);
    tooLate.abort(error);
    late.reject(error);
  }, OPENING_MS);
  try {
    return await Promise.race([openAndLook(opening, name, { signal: tooLate.signal }), late.promise]);
  } finally {
    clearTimeout(timer);
  }
}

/** Only the look is aborted: who completes the copies afterwards goes on with the opening. */
async function openAndLook(opening: Opening, name: string, options: OperationOptions): Promise<Look> {
  const storage = await opening.repository.storage(name);
  options.signal?.throwIfAborted();
  const { prepared, catalog, warn } = opening;
  // A copy is complete only where its whole lineage is: without its ancestors it could not be restored from there.
  const lacking = await findLackingMember({ catalog, storage }, prepared.decision.lineage, options);
  if (lacking !== undefined) {
    const reason = `backup ${lacking.id}, which this one builds on, is not whole there: ${lacking.reason}`;
    return { storage, warning: `storage "${name}" is left for the end of this run: ${reason}` };
  }
  const doubt = await requireRoom({ ...prepared, catalog }, storage, options);
  if (doubt !== undefined) warn(doubt);
  return { storage, warning: undefined };
}

function sameAs(others: readonly Storage[], { name, address }: Storage): string | undefined {
  const twin = others.find((other) => other.address === address);
  return twin === undefined ? undefined : takesNoPart(name, `it is the same place as "${twin.name}"`);
}
