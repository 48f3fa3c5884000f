import { FTPError } from "basic-ftp";
import { BackupctlError, messageOf } from "../../errors.ts";
import { unlessAborted } from "../network/unless-aborted.ts";
import { ConnectionLost } from "./errors.ts";
import type { Login } from "./login.ts";

const TOO_MANY_CONNECTIONS = 421;

/** Up to so many connections, made when they are needed and used again; each serves one call at a time. */
export class ConnectionPool {
  readonly #logIn: () => Promise<Login>;
  readonly #idle: Login[] = [];
  readonly #waiting: (() => void)[] = [];
  readonly #inUse = new Set<Login>();
  #free: number;
  #closed = false;

  constructor(size: number, logIn: () => Promise<Login>) {
    this.#free = size;
    this.#logIn = logIn;
  }

  /** An aborted call ends at once, and its connection with it. @throws `ConnectionLost`, and what `logIn` and `work` throw. */
  async use<T>(signal: AbortSignal | undefined, work: (login: Login) => Promise<T>): Promise<T> {
    signal?.throwIfAborted();
    await this.#enter(signal);
    let login: Login | undefined;
    try {
      login = await this.#takeUnlessAborted(signal);
      this.#inUse.add(login);
      return await unlessAborted(signal, work(login));
    } catch (error) {
      if (login === undefined) throw error;
      // Whatever the reason of the abort is, `work` goes on behind it: nobody else may get this connection.
      if (signal?.aborted === true) login.client.close();
      if (error instanceof FTPError || error instanceof BackupctlError) throw error;
      const lost = login.client.closed || isNetworkError(error);
      login.client.close();
      signal?.throwIfAborted();
      throw lost ? new ConnectionLost(messageOf(error), { cause: error }) : error;
    } finally {
      if (login !== undefined) {
        this.#inUse.delete(login);
        this.#idle.push(login);
      }
      this.#leave();
    }
  }

  close(): void {
    this.#closed = true;
    for (const { client } of [...this.#idle.splice(0), ...this.#inUse]) client.close();
  }

  async #takeUnlessAborted(signal: AbortSignal | undefined): Promise<Login> {
    const taking = this.#take();
    try {
      return await unlessAborted(signal, taking);
    } catch (error) {
      // Should the login still succeed, nobody wants it any more.
      taking.then(({ client }) => client.close()).catch(() => undefined);
      throw error;
    }
  }

  async #take(): Promise<Login> {
    for (let login = this.#idle.pop(); login !== undefined; login = this.#idle.pop()) {
      if (!login.client.closed) return login;
    }
    try {
      const login = await this.#logIn();
      if (this.#closed) login.client.close();
      return login;
    } catch (error) {
      // Others work: the server allows fewer connections than the config does. This place is given up for good.
      if (!isFull(error) || this.#inUse.size === 0) throw error;
      await this.#enter(undefined);
      return await this.#take();
    }
  }

  async #enter(signal: AbortSignal | undefined): Promise<void> {
    if (this.#free > 0) {
      this.#free--;
      return;
    }
    const turn = new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      await unlessAborted(signal, turn);
    } catch (error) {
      void turn.then(() => this.#leave());
      throw error;
    }
  }

  #leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free++;
    else next();
  }
}

function isFull(error: unknown): boolean {
  const { cause } = error as { readonly cause?: unknown };
  return cause instanceof FTPError && cause.code === TOO_MANY_CONNECTIONS;
}

/** A data connection that could not be had leaves the other one open; a mistake of the program is a TypeError or the like. */
function isNetworkError(error: unknown): boolean {
  return error instanceof Error && error.name === "Error";
}
