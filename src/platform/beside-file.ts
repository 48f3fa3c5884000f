import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import * as path from "node:path";
import { BackupctlError, isBackupctlError } from "../errors.ts";
import {
  errnoOf,
  listDirectory,
  makeDirectory,
  makePrivateDirectory,
  syncDirectory,
  unmakeDirectory,
} from "./files.ts";
import { withRoom } from "./leavings.ts";
import { isAlive } from "./temporary-directory.ts";

/** A new file (0600) written under a temporary name beside its place. */
export interface BesideFile {
  /** Small pieces are put together. */
  write(bytes: Uint8Array): Promise<void>;
  /** Flushes the file and holds it open no longer: nothing more is written, and it waits for its name. */
  complete(): Promise<void>;
  /** Completes the file and gives it its name. @throws `TARGET_NOT_EMPTY` where one is there that may not be replaced */
  commit(): Promise<void>;
  /** Leaves nothing, folders that were made included; does nothing after `commit`. */
  discard(): Promise<void>;
}

const WRITE_BYTES = 256 * 1024;

/**
 * Makes the folders above it where they are missing, and removes what a killed run left of the same file. Two may write one file at the
 * same time: each has its own, and the first that is whole takes the name, or with `overwrite` the last.
 */
export async function openBesideFile(file: string, overwrite: boolean): Promise<BesideFile> {
  const folder = path.dirname(file);
  const prefix = `.${withRoom(path.basename(file))}.backupctl-`;
  const temporary = path.join(folder, `${prefix}${process.pid}-${randomBytes(4).toString("hex")}`);
  const topmost = await makeDirectory(folder);
  const handle = await openSwept(temporary, prefix).catch(async (error: unknown) => {
    await unmakeDirectory(folder, topmost);
    throw error;
  });
  let pending: Uint8Array[] = [];
  let pendingBytes = 0;
  let open = true;
  let done = false;

  async function flush(): Promise<void> {
    const [first, ...others] = pending;
    pending = [];
    pendingBytes = 0;
    if (first !== undefined) await handle.writeFile(others.length === 0 ? first : Buffer.concat([first, ...others]));
  }

  async function close(): Promise<void> {
    if (!open) return;
    open = false;
    await handle.close();
  }

  async function complete(): Promise<void> {
    if (!open) return;
    await flush();
    await handle.sync();
    await close();
  }

  return {
    async write(bytes) {
      pending.push(bytes);
      pendingBytes += bytes.length;
      if (pendingBytes >= WRITE_BYTES) await flush();
    },
    complete,
    async commit() {
      await complete();
      if (overwrite) await fs.rename(temporary, file);
      else await takeName(temporary, file);
      done = true;
      await syncDirectory(folder);
    },
    async discard() {
      await close();
      if (done) return;
      await fs.rm(temporary, { force: true });
      await unmakeDirectory(folder, topmost);
    },
  };
}

async function openSwept(temporary: string, prefix: string): Promise<fs.FileHandle> {
  const folder = path.dirname(temporary);
  for (const name of await listDirectory(folder)) {
    const [, pid] = (name.startsWith(prefix) && /^(\d+)-[0-9a-f]{8}$/.exec(name.slice(prefix.length))) || [];
    if (pid !== undefined && !isAlive(Number(pid))) await fs.rm(path.join(folder, name), { force: true });
  }
  return fs.open(temporary, "wx", 0o600);
}

/** Writes a whole file (0600), flushed, or none. False, and nothing touched, if there is one already. */
export async function writeNewFile(file: string, text: string): Promise<boolean> {
  await makePrivateDirectory(path.dirname(file));
  if (await pathExists(file)) return false;
  const beside = await openBesideFile(file, false);
  try {
    await beside.write(Buffer.from(text));
    await beside.commit();
    return true;
  } catch (error) {
    if (!isBackupctlError(error, "TARGET_NOT_EMPTY")) throw error;
    return false;
  } finally {
    await beside.discard();
  }
}

/** Renaming would replace what came to be there meanwhile; a link does not. */
async function takeName(temporary: string, file: string): Promise<void> {
  try {
    await fs.link(temporary, file);
  } catch (error) {
    if (errnoOf(error) === "EEXIST") throw refuseExisting(file);
    if (!["EPERM", "ENOTSUP", "EOPNOTSUPP"].includes(errnoOf(error) ?? "")) throw error;
    if (await pathExists(file)) throw refuseExisting(file);
    await fs.rename(temporary, file);
    return;
  }
  await fs.rm(temporary, { force: true });
}

export function refuseExisting(file: string): BackupctlError {
  return new BackupctlError("TARGET_NOT_EMPTY", `${file} exists`, {
    hint: "Give another folder with --to, or --overwrite to replace it.",
  });
}

/** Anything at all is there, a dangling symlink included. */
export async function pathExists(file: string): Promise<boolean> {
  try {
    await fs.lstat(file);
    return true;
  } catch (error) {
    if (errnoOf(error) === "ENOENT" || errnoOf(error) === "ENOTDIR") return false;
    throw error;
  }
}
