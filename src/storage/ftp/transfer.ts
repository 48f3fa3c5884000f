import { once } from "node:events";
import type { Socket } from "node:net";
import { Writable } from "node:stream";
import { setTimeout as pause } from "node:timers/promises";
import { TLSSocket } from "node:tls";
import { type Client, type FTPContext, FTPError, type FTPResponse } from "basic-ftp";

const PIECE_BYTES = 256 * 1024;
/** What this host's kernel holds when all is written, up to some MiB, goes out unseen: the answer may take so much longer. */
const TIMEOUTS_FOR_BUFFERED_BYTES = 4;
/** vsftpd 3.0.3 ends its session, or the transfer, where a transfer of nothing ends while it is busy with the handshake of TLS. */
const WAIT_BEFORE_NOTHING_MS = 1000;

/**
 * Writes a new file. The library's own upload gives up when the data connection breaks; but that is how a server ends a transfer that
 * it can't store, and why it can't comes on the other connection, a moment later.
 * @throws FTPError with the server's answer.
 */
export async function upload(client: Client, file: string, bytes: Uint8Array): Promise<void> {
  const { ftp } = client;
  await client.prepareTransfer(ftp);
  const data = ftp.dataSocket;
  if (data === undefined) throw new Error("there is no data connection");
  let broken: Error | undefined;
  data.removeAllListeners("error").removeAllListeners("close");
  data.on("error", (error) => {
    broken ??= error;
  });
  let sending = false;
  try {
    await ftp.handle(`STOR ${file}`, (reply, task) => {
      if (reply instanceof Error) task.reject(reply);
      else if (reply.code >= 200) settle(reply, task, broken);
      else if (!sending) {
        sending = true;
        void send(ftp, data, bytes);
      }
    });
  } finally {
    ftp.dataSocket = undefined;
  }
}

function settle(
  reply: FTPResponse,
  task: { resolve(value: unknown): void; reject(error: Error): void },
  broken: Error | undefined,
): void {
  if (broken !== undefined) task.reject(broken);
  else if (reply.code >= 300) task.reject(new FTPError(reply));
  else task.resolve(reply);
}

/** While bytes go out, the server is silent on the control connection: there only the pieces are watched. */
async function send(ftp: FTPContext, data: Socket, bytes: Uint8Array): Promise<void> {
  ftp.socket.setTimeout(0);
  const stalled = (): void => ftp.closeWithError(new Error(`nothing moved for ${ftp.timeout / 1000} s`));
  let timer = setTimeout(stalled, ftp.timeout);
  const moved = (): void => {
    clearTimeout(timer);
    timer = setTimeout(stalled, ftp.timeout);
  };
  try {
    if (data instanceof TLSSocket && data.getCipher() === undefined) await once(data, "secureConnect");
    for (let offset = 0; offset < bytes.length; offset += PIECE_BYTES) {
      // A copy, because the bytes may lie in memory that is shared.
      const piece = Buffer.from(bytes.subarray(offset, offset + PIECE_BYTES));
      await new Promise<void>((resolve, reject) => {
        data.write(piece, (error) => (error ? reject(error) : resolve()));
      });
      moved();
    }
    if (bytes.length === 0 && data instanceof TLSSocket) await pause(WAIT_BEFORE_NOTHING_MS);
    data.end();
  } catch {
    // The listener of the socket has it; the server's answer decides, and is waited for no longer than any other.
    data.destroy();
  } finally {
    clearTimeout(timer);
    if (!ftp.closed) ftp.socket.setTimeout(TIMEOUTS_FOR_BUFFERED_BYTES * ftp.timeout);
  }
}

/** `length` bytes from `offset`. Where the file goes on behind them, the transfer is cut; fewer only where it ends. */
export async function download(
  client: Client,
  file: string,
  { offset, length }: { readonly offset: number; readonly length: number },
): Promise<Buffer> {
  const bytes = Buffer.allocUnsafe(length);
  let filled = 0;
  let cut = false;
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      const taken = chunk.copy(bytes, filled, 0, length - filled);
      filled += taken;
      if (taken < chunk.length) {
        cut = true;
        client.ftp.dataSocket?.destroy();
      }
      done();
    },
    // The library closes the whole connection when a sink says that it failed.
    destroy: (_, done) => done(null),
  });
  try {
    await client.downloadTo(sink, file, offset);
  } catch (error) {
    if (!cut || client.closed) throw error;
    await untilAnswering(client);
  }
  return bytes.subarray(0, filled);
}

/** After a cut a server says once or twice that the transfer ended, well or not: what counts is that it listens again. */
async function untilAnswering(client: Client): Promise<void> {
  await client.ftp.handle("NOOP", (reply, task) => {
    if (reply instanceof Error && !(reply instanceof FTPError)) task.reject(reply);
    else if (reply.code === 200) task.resolve(reply);
  });
}
