import type { OptionValues, StorageConfig } from "../config/config.ts";
import { requireSources } from "../domain/selection.ts";
import { BackupctlError, isBackupctlError } from "../errors.ts";
import type { StorageDefinition } from "../storage/storage.ts";
import type { OperationContext } from "./context.ts";
import { openNotifier } from "./notifications/notifiers.ts";
import type { ConfigReport } from "./operations.ts";
import { openEngine, primaryStorage, type Session, storageDefinition } from "./session.ts";

/**
 * What `config validate` says of a configuration that was loaded strictly: there is something to back up, every secret can be
 * read, every key can seal and every adapter takes its options. Opens no storage and no source. @throws what the first part that
 * can't be used throws.
 */
export async function reportConfig({ session }: OperationContext): Promise<ConfigReport> {
  const { loaded } = session;
  const { storages, sources, targets } = loaded.config;
  primaryStorage(session);
  requireSources(sources);
  await checkAddresses(session);
  await checkKeys(session);
  await checkNotifiers(session);
  for (const { name } of sources) await naming(`source "${name}"`, openEngine(session, name));
  for (const target of targets) {
    for (const source of target.sources) await loaded.resolveTarget(target.name, source);
  }
  return { origin: loaded.origin, sources: sources.length, storages: storages.length, warnings: loaded.warnings };
}

/** Two names for one place look like two copies. */
async function checkAddresses(session: Session): Promise<void> {
  const names = new Map<string, string>();
  for (const { name, type, role } of session.loaded.config.storages) {
    const definition = storageDefinition(session, type);
    const options = await session.loaded.resolveStorage(name);
    await checkRules(definition, { name, role }, options);
    const address = await naming(`storage "${name}"`, definition.address(options));
    const other = names.get(address);
    if (other !== undefined) {
      throw new BackupctlError("CONFIG_INVALID", `the storages "${other}" and "${name}" are one place: ${address}`, {
        hint: "Give one of them another place, best another disk, or leave it out.",
      });
    }
    names.set(address, name);
  }
}

/** Where a secret comes from a file or a program, this is the first to see all options. */
async function checkRules(
  { rules }: StorageDefinition,
  { name, role }: Pick<StorageConfig, "name" | "role">,
  options: OptionValues,
): Promise<void> {
  const [problem] = (await rules?.())?.(options, { role }) ?? [];
  if (problem === undefined) return;
  throw new BackupctlError("CONFIG_INVALID", `storages.${name}.${problem.path.join(".")}: ${problem.message}`, {
    hint: "Correct the config; docs/configuration.md lists every option.",
  });
}

/** The repository has no say in what a key is, only in where its salt is kept. */
async function checkKeys({ loaded, adapters }: Session): Promise<void> {
  for (const { name, provider } of loaded.config.encryption.keys) {
    const key = await adapters.keys[provider]?.open(await loaded.resolveKey(name), { name, repositoryId: "" });
    await key?.seal();
  }
}

async function checkNotifiers(session: Session): Promise<void> {
  for (const { name } of session.loaded.config.notifiers) await openNotifier(session, name);
}

async function naming<T>(object: string, opening: Promise<T>): Promise<T> {
  try {
    return await opening;
  } catch (error) {
    if (!isBackupctlError(error, "CONFIG_INVALID")) throw error;
    const { message, hint } = error;
    throw new BackupctlError("CONFIG_INVALID", `${object}: ${message}`, hint === undefined ? {} : { hint });
  }
}
