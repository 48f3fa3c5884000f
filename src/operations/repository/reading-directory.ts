import * as os from "node:os";
import * as path from "node:path";
import { messageOf } from "../../errors.ts";
import { errnoOf } from "../../platform/files.ts";
import {
  createProcessDirectory,
  createTemporaryDirectory,
  freeBytes,
  type TemporaryDirectory,
} from "../../platform/temporary-directory.ts";
import type { Session } from "../session.ts";
import type { Repository } from "./repository.ts";

/** More than the indexes of all but the largest backups take. */
const ROOM_BYTES = 256 * 1024 * 1024;

/**
 * A private place for a reader's own files. In the state directory, but not in what a create that begins meanwhile clears of what dead runs left;
 * where nothing can be written there, or hardly anything, among the system's temporary files: it must not stand in the way of a restore.
 */
export async function createReadingDirectory(session: Session, { state }: Repository): Promise<TemporaryDirectory> {
  const temporary = os.tmpdir();
  try {
    const reading = await createProcessDirectory(path.join(state.directory, "reading"));
    const free = await freeBytes(reading.path);
    if (free >= ROOM_BYTES || (await freeBytes(temporary)) <= free) return reading;
    await reading.dispose();
    session.logger.debug(`indexes are read into the system's temporary files: ${state.directory} is nearly full`);
    return await createTemporaryDirectory(temporary);
  } catch (error) {
    if (errnoOf(error) === undefined) throw error;
    session.logger.debug(`indexes are read into the system's temporary files: ${messageOf(error)}`);
    return createTemporaryDirectory(temporary);
  }
}
