import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { errnoOf } from "../../src/platform/files.ts";

/** What a line does to what goes over it. It may be changed at any time, for connections that are open too. */
interface Line {
  /** Each piece arrives so much later. */
  latencyMs: number;
  /** Of each connection and direction; 0: as fast as it goes. */
  bytesPerSecond: number;
}

/** How a connection breaks: when so many bytes more have gone up to the server over it, or come down from it. */
export interface Break {
  readonly after: number;
  readonly direction: "up" | "down";
  /** `reset`: both ends are told. `stall`: nothing moves any more, and nobody is told. */
  readonly kind: "reset" | "stall";
}

export interface FaultProxy {
  readonly host: string;
  readonly port: number;
  readonly line: Line;
  /** Connections made so far. */
  readonly connections: number;
  /** Connections broken so far as `breakNext` said. */
  readonly broken: number;
  /** Bytes that went up, and came down, since `breakNext` was called last. */
  readonly moved: Readonly<Record<Break["direction"], number>>;
  /** The next connection that gets so far from now on breaks; one that is open already may be it. */
  breakNext(fault: Break): void;
  /** Breaks every open connection. */
  dropAll(): void;
  /** Nobody listens any more, and open connections break. */
  refuse(): void;
  accept(): Promise<void>;
  close(): Promise<void>;
}

/** While nobody listens, the port may be given to a connection of any program, until that ends. */
const LISTENS = 100;
/** A slow line is slow and not a series of jumps. */
const SLICES_PER_SECOND = 20;

/**
 * A TCP line to a server on 127.0.0.1 that can be made as bad as lines get.
 *
 * @param dataPorts where the server may listen for further connections of the same client, as FTP's does. The line then has
 * an address of its own and the server's port numbers, because that is where the client will look for them.
 */
export async function startFaultProxy(targetPort: number, dataPorts: readonly number[] = []): Promise<FaultProxy> {
  const host = dataPorts.length === 0 ? "127.0.0.1" : "127.0.0.2";
  const line: Line = { latencyMs: 0, bytesPerSecond: 0 };
  const open = new Set<net.Socket>();
  const faults: Break[] = [];
  const counters = new Set<Record<Break["direction"], number>>();
  let connections = 0;
  let broken = 0;
  let listeners: readonly net.Server[] = [];

  /** Takes the fault out that is reached with so many bytes more. */
  function faultReached(direction: Break["direction"], movedBytes: number): Break | undefined {
    const at = faults.findIndex((fault) => fault.direction === direction && movedBytes > fault.after);
    return at < 0 ? undefined : faults.splice(at, 1)[0];
  }

  async function delay(bytes: number): Promise<void> {
    if (line.latencyMs > 0) await sleep(line.latencyMs);
    if (line.bytesPerSecond > 0) await sleep((1000 * bytes) / line.bytesPerSecond);
  }

  async function pump(
    [from, to]: readonly [net.Socket, net.Socket],
    direction: Break["direction"],
    moved: Record<Break["direction"], number>,
  ): Promise<void> {
    // An end that has said all may still be listening.
    for await (const chunk of from.iterator({ destroyOnReturn: false })) {
      for (const bytes of slices(chunk as Buffer)) {
        await delay(bytes.length);
        const fault = faultReached(direction, moved[direction] + bytes.length);
        if (fault !== undefined) {
          broken += 1;
          await write(to, bytes.subarray(0, Math.max(0, fault.after - moved[direction])));
          if (fault.kind === "reset") throw new Error("the line breaks");
          await new Promise<never>(() => undefined);
        }
        moved[direction] += bytes.length;
        await write(to, bytes);
      }
    }
    to.end();
  }

  function* slices(chunk: Buffer): Iterable<Buffer> {
    const size = line.bytesPerSecond > 0 ? Math.ceil(line.bytesPerSecond / SLICES_PER_SECOND) : chunk.length;
    for (let at = 0; at < chunk.length; at += size) yield chunk.subarray(at, at + size);
  }

  function connect(client: net.Socket, to: number): void {
    connections += 1;
    const server = net.connect({ host: "127.0.0.1", port: to, allowHalfOpen: true });
    const ends = [client, server];
    for (const end of ends) {
      open.add(end);
      end.setNoDelay(true);
      end.on("error", () => undefined);
      // The other one has nobody to talk to.
      end.on("close", (hadError) => {
        open.delete(end);
        if (hadError) for (const other of ends) other.resetAndDestroy();
      });
    }
    const moved = { up: 0, down: 0 };
    counters.add(moved);
    for (const pumping of [pump([client, server], "up", moved), pump([server, client], "down", moved)]) {
      pumping.catch(() => {
        for (const end of ends) end.resetAndDestroy();
      });
    }
  }

  function dropAll(): void {
    for (const end of open) end.resetAndDestroy();
  }

  async function listen(own: number, to: number): Promise<net.Server> {
    for (let left = LISTENS; ; left--) {
      const server = net.createServer({ allowHalfOpen: true }, (client) => connect(client, to));
      try {
        await new Promise<void>((resolve, reject) => {
          server.once("error", reject);
          server.listen(own, host, () => resolve());
        });
        return server;
      } catch (error) {
        if (left === 0 || errnoOf(error) !== "EADDRINUSE") throw error;
        await sleep(100);
      }
    }
  }

  async function listenAll(own: number): Promise<void> {
    listeners = await Promise.all([listen(own, targetPort), ...dataPorts.map((data) => listen(data, data))]);
  }

  await listenAll(dataPorts.length === 0 ? 0 : targetPort);
  const port = portOf(listeners[0]);
  return {
    host,
    port,
    line,
    get connections() {
      return connections;
    },
    get broken() {
      return broken;
    },
    get moved() {
      const all = [...counters];
      return {
        up: all.reduce((sum, { up }) => sum + up, 0),
        down: all.reduce((sum, { down }) => sum + down, 0),
      };
    },
    breakNext(fault) {
      for (const moved of counters) Object.assign(moved, { up: 0, down: 0 });
      faults.push(fault);
    },
    dropAll,
    refuse() {
      for (const listener of listeners) listener.close();
      dropAll();
    },
    accept: () => listenAll(port),
    async close() {
      const closed = listeners.map((listener) => new Promise((resolve) => listener.close(resolve)));
      dropAll();
      await Promise.all(closed);
    },
  };
}

async function write(to: net.Socket, bytes: Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    to.write(bytes, (error) => (error == null ? resolve() : reject(error)));
  });
}

function portOf(server: net.Server | undefined): number {
  const address = server?.address();
  if (typeof address !== "object" || address === null) throw new Error("the proxy listens nowhere");
  return address.port;
}
