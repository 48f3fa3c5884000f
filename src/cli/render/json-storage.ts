import type { StorageCheck, StorageSummary } from "../../operations/operations.ts";
import type { Json } from "./json.ts";

export function storageListJson(storages: readonly StorageSummary[]): Json {
  return {
    storages: storages.map((storage) => ({
      name: storage.name,
      type: storage.type,
      role: storage.role,
      address: storage.address ?? null,
      backups: storage.copies.complete,
      pending: storage.lag.backups,
      pending_bytes: storage.lag.bytes,
      pending_since: storage.lag.oldest ?? null,
      damaged: storage.copies.damaged,
      stored_bytes: storage.storedBytes,
      stored_bytes_by_type: Object.entries(storage.bytesByType).map(([type, bytes]) => ({ type, bytes })),
      free_bytes: storage.space.freeBytes ?? null,
      total_bytes: storage.space.totalBytes ?? null,
      problem: storage.problem === undefined ? null : { ...storage.problem, hint: storage.problem.hint ?? null },
    })),
  };
}

export function storageCheckJson({ name, type, address, results, settings, passed }: StorageCheck): Json {
  return {
    name,
    type,
    address,
    passed,
    results: results.map(({ what, outcome, detail, setting }) => ({
      what,
      outcome,
      detail: detail ?? null,
      setting: setting ?? null,
    })),
    settings,
  };
}
