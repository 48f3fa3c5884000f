import type { LoadedConfig } from "../../config/config.ts";
import { isBackupctlError, messageOf } from "../../errors.ts";
import { readFileIfExists } from "../../platform/files.ts";
import type { Session } from "../session.ts";

/** The configuration's file as it was last looked at. */
export interface WatchedConfig {
  /** The configuration where its file has another text than before, and a sound one; what is wrong with it is said once. */
  ifChanged(): Promise<LoadedConfig | undefined>;
}

/** @param reload reads that very file again, and throws what is wrong with it */
export async function watchConfig(
  { loaded, logger }: Session,
  reload: () => Promise<LoadedConfig>,
): Promise<WatchedConfig> {
  const { origin } = loaded;
  let known = await textOf(origin);
  return {
    async ifChanged() {
      const text = await textOf(origin);
      if (text === known) return undefined;
      known = text;
      try {
        const changed = await reload();
        logger.info(`${origin} was changed: these are the schedules from now on`);
        return changed;
      } catch (error) {
        for (const line of saidOf(error)) logger.error(line);
        logger.error(`${origin} was changed and can't be used: the schedules stay at the times that they had`);
        return undefined;
      }
    },
  };
}

/** Its text, or why there is none: that is a change, too. A configuration in the environment stays as it is. */
async function textOf(origin: string): Promise<string> {
  if (origin === "environment") return "";
  try {
    return (await readFileIfExists(origin))?.toString("latin1") ?? "missing";
  } catch (error) {
    return messageOf(error);
  }
}

function saidOf(error: unknown): readonly string[] {
  return [messageOf(error), ...(isBackupctlError(error) ? error.lines : [])];
}
