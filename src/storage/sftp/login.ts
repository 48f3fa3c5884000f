import { connect as connectSocket, type Socket } from "node:net";
import SftpClient from "ssh2-sftp-client";
import { BackupctlError, messageOf } from "../../errors.ts";
import { type NetworkFailure, networkFailure } from "../../platform/network-failure.ts";
import { type HostKeyCheck, hostKeyCheck } from "./host-key.ts";
import type { SftpOptions } from "./options.ts";
import { Session } from "./session.ts";

type Method = "none" | "publickey" | "agent" | "password" | "keyboard-interactive";

interface SshFailure extends Error {
  /** Where in ssh2 it arose, e.g. `client-authentication`. */
  readonly level?: string;
  readonly code?: string | number;
}

const DISCONNECTED_FOR_TOO_MANY_TRIES = 2;

/**
 * Connects, judges the host key, and only then logs in.
 * @throws `STORAGE_DENIED` for a refused login, `CONFIG_INVALID` for a login that can't be tried, `STORAGE_FAILED` for the rest.
 */
export async function logIn(
  options: SftpOptions,
  { storage, stallTimeoutMs }: { readonly storage: string; readonly stallTimeoutMs: number },
): Promise<Session> {
  const methods = methodsOf(options, storage);
  const check = await hostKeyCheck(options, storage);
  const socket = connectSocket({ host: options.host, port: options.port, keepAlive: true, noDelay: true });
  const handshake = new Handshake(options, { storage, check, methods });
  socket.setTimeout(stallTimeoutMs, () => {
    handshake.fail(new Error(`nothing moved for ${stallTimeoutMs / 1000} s`));
    socket.destroy();
  });
  try {
    const protocol = await handshake.run(socket);
    socket.removeAllListeners("timeout").setTimeout(0);
    return new Session(protocol, socket, stallTimeoutMs);
  } catch (error) {
    socket.destroy();
    throw handshake.explain(error);
  }
}

/** In the order in which they are tried, each only if the server offers it. */
function methodsOf(options: SftpOptions, storage: string): readonly Method[] {
  const methods: Method[] = [];
  if (options.private_key !== undefined) methods.push("publickey");
  if (options.password !== undefined) methods.push("password", "keyboard-interactive");
  if (methods.length > 0) return methods;
  if (process.env.SSH_AUTH_SOCK !== undefined) return ["agent"];
  throw new BackupctlError("CONFIG_INVALID", `storage "${storage}" has nothing to log in with`, {
    hint: "Set `private_key_file` or `password_file`, or start an ssh-agent and see that SSH_AUTH_SOCK names it.",
  });
}

class Handshake {
  readonly #options: SftpOptions;
  readonly #storage: string;
  readonly #check: HostKeyCheck;
  readonly #methods: readonly Method[];
  /** What went wrong first: what the library throws in the end may be but its consequence, or have lost its kind. */
  #reason: unknown;

  constructor(
    options: SftpOptions,
    {
      storage,
      check,
      methods,
    }: { readonly storage: string; readonly check: HostKeyCheck; readonly methods: readonly Method[] },
  ) {
    this.#options = options;
    this.#storage = storage;
    this.#check = check;
    this.#methods = methods;
  }

  fail(reason: unknown): void {
    this.#reason ??= reason;
  }

  async run(socket: Socket): ReturnType<SftpClient["connect"]> {
    const { user, private_key, passphrase, password } = this.#options;
    const client = new SftpClient("backupctl", { error: (error) => this.fail(error), end: ignore, close: ignore });
    client.on("error", (error: unknown) => this.fail(error));
    // The client would hand these to its own prompts; the one question that a server without people asks is the password.
    client.on("keyboard-interactive", (...[, , , prompts, answer]: KeyboardInteractive) => {
      answer(prompts.map(() => password ?? ""));
    });
    return await client.connect({
      sock: socket,
      username: user,
      readyTimeout: 0,
      algorithms: { serverHostKey: [...this.#check.algorithms] },
      hostVerifier: (key: Buffer) => this.#trusts(key),
      authHandler: this.#nextMethod(),
      ...(private_key === undefined ? {} : { privateKey: private_key }),
      ...(passphrase === undefined ? {} : { passphrase }),
      ...(password === undefined ? {} : { password, tryKeyboard: true }),
      ...(this.#methods.includes("agent") ? { agent: process.env.SSH_AUTH_SOCK ?? "" } : {}),
    });
  }

  #trusts(key: Buffer): boolean {
    const refusal = this.#check.refusal(key);
    if (refusal !== undefined) this.fail(refusal);
    return refusal === undefined;
  }

  /** `none` first, whose answer is the list of what the server takes: so no password goes to one that takes keys only. */
  #nextMethod(): (left: readonly string[] | null) => Method | false {
    const untried = ["none" as const, ...this.#methods];
    return (left) => {
      const at = untried.findIndex(
        (method) => left === null || left.includes(method === "agent" ? "publickey" : method),
      );
      return untried.splice(at, at < 0 ? 0 : 1)[0] ?? false;
    };
  }

  /** The failure as the storage port promises it. */
  explain(thrown: unknown): unknown {
    const error = (this.#reason ?? thrown) as SshFailure;
    if (error instanceof BackupctlError) return error;
    const { user, host, port } = this.#options;
    const what = `storage "${this.#storage}" cannot log in to ${host}:${port}`;
    if (error.level === "agent") {
      return new BackupctlError("STORAGE_DENIED", `${what} as ${user} with the ssh-agent: ${messageOf(error)}`, {
        cause: error,
        hint: "See with `ssh-add -l` whether the agent at SSH_AUTH_SOCK runs and has the key, or set `private_key_file`.",
      });
    }
    if (error.level === "client-authentication" || error.code === DISCONNECTED_FOR_TOO_MANY_TRIES) {
      const tried = this.#methods.map(
        (method) => ({ publickey: "private key", agent: "ssh-agent" })[method as string] ?? method,
      );
      return new BackupctlError(
        "STORAGE_DENIED",
        `${what} as ${user}: the server accepted none of: ${tried.join(", ")}`,
        {
          cause: error,
          hint: `Try \`sftp -P ${port} ${user}@${host}\` by hand, and see on the server what it logged about the login.`,
        },
      );
    }
    const message = messageOf(error);
    if (message.includes("privateKey") || message.includes("private key")) {
      return new BackupctlError("CONFIG_INVALID", `storage "${this.#storage}": private_key: ${afterColon(message)}`, {
        hint: "Give the private key itself (not the .pub file), and its passphrase as `passphrase` if it has one.",
      });
    }
    // Errors of the handshake itself (no common algorithm) stay until somebody changes something.
    const passing: NetworkFailure = { what: message, retryable: error.level !== "handshake" };
    const failure = networkFailure(error, `${host}:${port}`, "host_key") ?? passing;
    return new BackupctlError("STORAGE_FAILED", `${what}: ${failure.what}`, {
      cause: error,
      retryable: failure.retryable,
      hint: failure.hint ?? `See that an SSH server runs at ${host}:${port}, and that no firewall is between.`,
    });
  }
}

type KeyboardInteractive = readonly [
  name: string,
  instructions: string,
  language: string,
  prompts: readonly unknown[],
  answer: (answers: readonly string[]) => void,
];

function ignore(): void {}

function afterColon(message: string): string {
  return message.slice(
    message.indexOf("privateKey: ") < 0 ? 0 : message.indexOf("privateKey: ") + "privateKey: ".length,
  );
}
