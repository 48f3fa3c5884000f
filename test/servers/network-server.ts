import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import { connect } from "node:net";

const READY_TIMEOUT_MS = 20_000;

/** A server process with its children, that ends with the test's process. */
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
    const child = spawn(program, args, { stdio: ["ignore", "pipe", "pipe"], cwd: "/" });
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

  /** To the server and whatever it started; sshd's children are in sessions of their own. */
  signal(name: NodeJS.Signals): void {
    if (this.#child.pid === undefined) return;
    for (const pid of withDescendants(this.#child.pid)) {
      try {
        process.kill(pid, name);
      } catch {
        // It has ended by itself.
      }
    }
  }

  readonly #abandon = (): void => this.signal("SIGKILL");
}

function withDescendants(pid: number): number[] {
  const all = execFileSync("ps", ["-e", "-o", "pid=,ppid="], { encoding: "utf8" }).trim().split("\n");
  const pairs = all.map((line) => line.trim().split(/\s+/).map(Number));
  const found = [pid];
  for (const parent of found) found.push(...pairs.flatMap(([child = 0, of]) => (of === parent ? [child] : [])));
  return found;
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
