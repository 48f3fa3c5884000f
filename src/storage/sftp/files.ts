import { FileInTheWay, hasStatus } from "./errors.ts";
import type { Attributes, Session } from "./session.ts";

/** Found by measurement: docs/decisions/0011-sftp-requests-in-flight.md. */
const PIECE_BYTES = 255 * 1024;
const BYTES_IN_FLIGHT = 2 * 1024 * 1024;

export interface Entry {
  readonly name: string;
  readonly facts: Attributes;
}

/** What lies there itself, should it be a link; undefined for nothing. */
export async function look(session: Session, file: string): Promise<Attributes | undefined> {
  return await unlessMissing(session.request<Attributes>((sftp, done) => sftp.lstat(file, done)));
}

/** Whether `place` is a folder or leads to one, or there is nothing. @throws `FileInTheWay` */
export async function isFolder(session: Session, place: string): Promise<boolean> {
  const facts = await unlessMissing(session.request<Attributes>((sftp, done) => sftp.stat(place, done)));
  if (facts?.isDirectory() === false) throw new FileInTheWay(`${place} on the server is no folder`);
  return facts !== undefined;
}

export async function unlessMissing<T>(request: Promise<T>): Promise<T | undefined> {
  try {
    return await request;
  } catch (error) {
    if (hasStatus(error, "noSuchFile")) return undefined;
    throw error;
  }
}

/** @returns false for one that was there already. */
export async function makeFolder(session: Session, folder: string): Promise<boolean> {
  try {
    await session.request((sftp, done) => sftp.mkdir(folder, { mode: 0o700 }, (error) => done(error, undefined)));
    return true;
  } catch (error) {
    // Version 3 of the protocol has no status for what exists; above a folder one may not even write.
    if (hasStatus(error, "failure", "permissionDenied") && (await isFolder(session, folder))) return false;
    throw error;
  }
}

export async function readFolder(session: Session, folder: string): Promise<readonly Entry[]> {
  const handle = await session.request<Buffer>((sftp, done) => sftp.opendir(folder, done));
  const found: Entry[] = [];
  try {
    for (;;) {
      const entries = await session.request<Listed>((sftp, done) => sftp.readdir(handle, done as Done));
      for (const { filename, attrs } of entries) found.push({ name: filename, facts: attrs as Attributes });
    }
  } catch (error) {
    if (!isEndOfFolder(error)) throw error;
  } finally {
    forget(session, handle);
  }
  return found;
}

type Listed = readonly { readonly filename: string; readonly attrs: unknown }[];
type Done = (error: Error | undefined, list: Listed) => void;

function isEndOfFolder(error: unknown): boolean {
  return (error as { readonly code?: unknown }).code === 1;
}

export async function remove(session: Session, file: string): Promise<void> {
  await session.request((sftp, done) => sftp.unlink(file, (error) => done(error, undefined)));
}

/** Makes the file (0600), which must not exist, with these bytes, on the server's disk where it can be asked for that. */
export async function writeFile(
  session: Session,
  file: string,
  bytes: Uint8Array,
  signal: AbortSignal | undefined,
): Promise<Attributes> {
  const handle = await session.request<Buffer>((sftp, done) => sftp.open(file, "wx", 0o600, done));
  try {
    const view = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
    await inPieces(session, { length: bytes.length, signal }, (offset, length) =>
      session.request((sftp, done) =>
        sftp.write(handle, view, offset, length, offset, (error) => done(error, undefined)),
      ),
    );
    if (session.supports("fsync")) await session.request((sftp, done) => sftp.ext_openssh_fsync(handle, done));
    return await session.request<Attributes>((sftp, done) => sftp.fstat(handle, done));
  } finally {
    forget(session, handle);
  }
}

/** `length` bytes from `offset`; fewer only where the file ends. */
export async function readFile(
  session: Session,
  file: string,
  range: { readonly offset: number; readonly length: number; readonly signal: AbortSignal | undefined },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(range.length);
  if (range.length === 0) return bytes;
  const handle = await session.request<Buffer>((sftp, done) => sftp.open(file, "r", done));
  let end = range.length;
  try {
    await inPieces(session, range, async (offset, length) => {
      for (let filled = 0; filled < length; ) {
        const count = await session.request<number>((sftp, done) =>
          sftp.read(handle, bytes, offset + filled, length - filled, range.offset + offset + filled, done),
        );
        if (count === 0) end = Math.min(end, offset + filled);
        if (count === 0) return;
        filled += count;
      }
    });
    return bytes.subarray(0, end);
  } finally {
    forget(session, handle);
  }
}

/** Nothing hangs on the answer: what was written is flushed and measured by then. */
function forget(session: Session, handle: Buffer): void {
  session.request((sftp, done) => sftp.close(handle, (error) => done(error, undefined))).catch(() => undefined);
}

async function inPieces(
  session: Session,
  { length: total, signal }: { readonly length: number; readonly signal: AbortSignal | undefined },
  transfer: (offset: number, length: number) => Promise<unknown>,
): Promise<void> {
  const piece = Math.min(PIECE_BYTES, session.largestRequestBytes);
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < total) {
      signal?.throwIfAborted();
      const offset = next;
      next += piece;
      await transfer(offset, Math.min(piece, total - offset));
    }
  };
  try {
    await Promise.all(Array.from({ length: Math.ceil(BYTES_IN_FLIGHT / piece) }, lane));
  } finally {
    next = total;
  }
}

/** Free and total bytes for this login, where the server can tell. */
export async function diskSpace(
  session: Session,
  place: string,
): Promise<{ readonly freeBytes: number; readonly totalBytes: number; readonly freeFiles: number } | undefined> {
  if (!session.supports("statvfs")) return undefined;
  const facts = await session.request<DiskFacts>((sftp, done) => sftp.ext_openssh_statvfs(place, done));
  return {
    freeBytes: facts.f_bavail * facts.f_frsize,
    totalBytes: facts.f_blocks * facts.f_frsize,
    // File systems without a number of files say 0 of 0.
    freeFiles: facts.f_files === 0 ? Number.POSITIVE_INFINITY : facts.f_favail,
  };
}

interface DiskFacts {
  readonly f_bavail: number;
  readonly f_blocks: number;
  readonly f_frsize: number;
  readonly f_files: number;
  readonly f_favail: number;
}
