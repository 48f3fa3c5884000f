import type { Socket } from "node:net";
import type SftpClient from "ssh2-sftp-client";

/** The protocol itself, with many requests in flight; the client around it sends one after the other. */
export type Protocol = Awaited<ReturnType<SftpClient["connect"]>>;
export type Attributes = Parameters<Parameters<Protocol["lstat"]>[1]>[1];

/** The connection ended under a request: whether the server has done what it asked for is not known. */
export class ConnectionLost extends Error {
  override readonly name = "ConnectionLost";
}

/** What the library knows of the server and keeps to itself. */
interface Told {
  readonly _extensions?: Readonly<Record<string, string>>;
  readonly _maxReadLen?: number;
  readonly _maxWriteLen?: number;
}

type Done<T> = (error: Error | null | undefined, value: T) => void;

/** So often an idle connection is used, lest a firewall between forgets it. */
const KEEPALIVE_MS = 30_000;

/** One login. It is cut, and all of its requests fail, where nothing moves for `stallTimeoutMs` while one is waiting. */
export class Session {
  readonly #protocol: Protocol;
  readonly #socket: Socket;
  readonly #stallTimeoutMs: number;
  readonly #waiting = new Set<(error: Error) => void>();
  readonly #keepalive: NodeJS.Timeout;
  #lost: ConnectionLost | undefined;

  constructor(protocol: Protocol, socket: Socket, stallTimeoutMs: number) {
    this.#protocol = protocol;
    this.#socket = socket;
    this.#stallTimeoutMs = stallTimeoutMs;
    const lose = (error: Error): void => this.end(error.message);
    protocol.on("error", lose);
    protocol.on("close", () => this.end("the server closed the session"));
    socket.on("error", lose);
    socket.on("timeout", () => this.end(`nothing moved for ${stallTimeoutMs / 1000} s`));
    socket.on("close", () => this.end("the server closed the connection"));
    // While requests wait nothing is sent for its own sake, for that would hide that nothing moves.
    this.#keepalive = setInterval(() => {
      if (this.#waiting.size === 0)
        this.request<string>((sftp, done) => sftp.realpath(".", done)).catch(() => undefined);
    }, KEEPALIVE_MS).unref();
  }

  get usable(): boolean {
    return this.#lost === undefined;
  }

  /** Whether the server has this extension of OpenSSH. */
  supports(extension: "fsync" | "hardlink" | "statvfs"): boolean {
    return (this.#protocol as Told)._extensions?.[`${extension}@openssh.com`] !== undefined;
  }

  /** What one request may carry: 32 KiB at every server, more at some. */
  get largestRequestBytes(): number {
    const { _maxReadLen: read = 0, _maxWriteLen: write = 0 } = this.#protocol as Told;
    return Math.min(read, write) || 31 * 1024;
  }

  /** @throws what the server answered, with its status as `code`; `ConnectionLost`. */
  request<T = unknown>(send: (sftp: Protocol, done: Done<T>) => void): Promise<T> {
    if (this.#lost !== undefined) return Promise.reject(this.#lost);
    return new Promise((resolve, reject) => {
      this.#begin(reject);
      try {
        send(this.#protocol, (error, value) => {
          this.#finish(reject);
          if (error) reject(isAnswer(error) ? error : new ConnectionLost(error.message));
          else resolve(value);
        });
      } catch (error) {
        this.#finish(reject);
        reject(error);
      }
    });
  }

  end(why: string): void {
    if (this.#lost !== undefined) return;
    this.#lost = new ConnectionLost(why);
    clearInterval(this.#keepalive);
    this.#socket.destroy();
    for (const reject of this.#waiting) reject(this.#lost);
    this.#waiting.clear();
  }

  #begin(reject: (error: Error) => void): void {
    if (this.#waiting.size === 0) this.#socket.setTimeout(this.#stallTimeoutMs);
    this.#waiting.add(reject);
  }

  #finish(reject: (error: Error) => void): void {
    this.#waiting.delete(reject);
    if (this.#waiting.size === 0) this.#socket.setTimeout(0);
  }
}

/** An answer has a status. Without one the library gave the request up, because the connection ended. */
function isAnswer(error: Error): boolean {
  return "code" in error && typeof error.code === "number";
}
