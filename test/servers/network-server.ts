import { type ChildProcess, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { connect } from "node:net";

const READY_TIMEOUT_MS = 20_000;

/** A server process with its children, in a process group of its own, that ends with the test's process. */
export class NetworkServer {
  readonly #child: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = new Promise((resolve) => child.once("exit", () => resolve()));
    process.once("exit", this.#abandon);
  }

  /** Returns when somebody listens on the port; the output goes to `log`. */
  static async start(command: readonly string[], { port, log }: { readonly port: number; readonly log: string }) {
    const [program = "", ...args] = ["/usr/bin/setpriv", "--pdeathsig", "KILL", "--", ...command];
    const child = spawn(program, args, { detached: true, stdio: ["ignore", "pipe", "pipe"], cwd: "/" });
    const output = createWriteStream(log, { flags: "a" });
    child.stdout.pipe(output, { end: false });
    child.stderr.pipe(output, { end: false });
    const server = new NetworkServer(child);
    for (const deadline = Date.now() + READY_TIMEOUT_MS; !(await listens(port)); ) {
      if (child.exitCode !== null || Date.now() > deadline) {
        await server.kill();
        throw new Error(`${program} does not listen on ${port}: see ${log}`);
      }
      await new Promise((resolve) => setTimeout(resolve, 20));
    }
    return server;
  }

  /** At once, with every connection that it serves. May be called twice. */
  async kill(): Promise<void> {
    process.removeListener("exit", this.#abandon);
    this.#abandon();
    await this.#ended;
  }

  readonly #abandon = (): void => {
    if (this.#child.pid === undefined) return;
    try {
      process.kill(-this.#child.pid, "SIGKILL");
    } catch {
      // The whole group has ended.
    }
  };
}

function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, "127.0.0.1");
    socket.once("connect", () => {
      socket.destroy();
      resolve(true);
    });
    socket.once("error", () => resolve(false));
  });
}
