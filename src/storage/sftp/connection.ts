import { logIn } from "./login.ts";
import type { SftpOptions } from "./options.ts";
import type { Session } from "./session.ts";

/** One login that all calls share. One that was lost is replaced when the next call needs it. */
export class Connection {
  readonly #logIn: () => Promise<Session>;
  #session: Promise<Session> | undefined;

  constructor(options: SftpOptions, context: { readonly storage: string; readonly stallTimeoutMs: number }) {
    this.#logIn = () => logIn(options, context);
  }

  async session(): Promise<Session> {
    const before = this.#session;
    if (before !== undefined) {
      const session = await before;
      if (session.usable) return session;
      if (this.#session === before) this.#session = undefined;
    }
    return await (this.#session ?? this.#begin());
  }

  async close(): Promise<void> {
    const session = await this.#session?.catch(() => undefined);
    session?.end("the storage was closed");
  }

  #begin(): Promise<Session> {
    const beginning = this.#logIn();
    this.#session = beginning;
    beginning.catch(() => {
      if (this.#session === beginning) this.#session = undefined;
    });
    return beginning;
  }
}
