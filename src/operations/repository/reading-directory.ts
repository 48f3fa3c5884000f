import * as path from "node:path";
import { messageOf } from "../../errors.ts";
import { errnoOf } from "../../platform/files.ts";
import {
  createProcessDirectory,
  createTemporaryDirectory,
  type TemporaryDirectory,
} from "../../platform/temporary-directory.ts";
import type { Session } from "../session.ts";
import type { Repository } from "./repository.ts";

/**
 * A private place for a reader's own files. In the state directory, but not in what a create that begins meanwhile clears of what dead runs left;
 * where nothing can be written there, among the system's temporary files: it must not stand in the way of a restore.
 */
export async function createReadingDirectory(session: Session, { state }: Repository): Promise<TemporaryDirectory> {
  try {
    return await createProcessDirectory(path.join(state.directory, "reading"));
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    session.logger.debug(`indexes are read into the system's temporary files: ${messageOf(error)}`);
    return createTemporaryDirectory();
  }
}
