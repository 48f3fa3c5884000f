import type { OperationContext } from "./context.ts";
import type { ConfigReport } from "./operations.ts";
import { openEngine, primaryStorage, storageDefinition } from "./session.ts";

/**
 * What `config validate` says of a configuration that was loaded strictly: every secret can be read and every adapter takes its
 * options. Opens no storage and no source. @throws what the first part that can't be used throws.
 */
export async function reportConfig({ session }: OperationContext): Promise<ConfigReport> {
  const { loaded } = session;
  const { storages, sources, encryption, targets } = loaded.config;
  primaryStorage(session);
  for (const { name, type } of storages) {
    const definition = storageDefinition(session, type);
    await definition.address(await loaded.resolveStorage(name));
  }
  for (const { name } of encryption.keys) await loaded.resolveKey(name);
  for (const { name } of sources) await openEngine(session, name);
  for (const target of targets) {
    for (const source of target.sources) await loaded.resolveTarget(target.name, source);
  }
  return { origin: loaded.origin, sources: sources.length, storages: storages.length, warnings: loaded.warnings };
}
