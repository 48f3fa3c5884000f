import { type AddressInfo, connect, createServer, type Socket } from "node:net";
import { onTestFinished } from "vitest";

export interface LosingProxy {
  readonly port: number;
  /** Connections so far. */
  readonly connections: number;
  /** The next answer is not passed on: both sides are cut when it begins. */
  loseNextAnswer(): void;
}

/** Passes everything on to a TCP port of this host, until the test ends. */
export async function losingProxy(target: number): Promise<LosingProxy> {
  const sockets = new Set<Socket>();
  let losing = false;
  let connections = 0;
  const keep = (socket: Socket) =>
    sockets.add(socket.on("close", () => sockets.delete(socket)).on("error", () => undefined));
  const server = createServer((client) => {
    connections++;
    const service = connect(target, "127.0.0.1");
    keep(client);
    keep(service);
    client.pipe(service);
    service.on("data", (bytes) => {
      if (!losing) return void client.write(bytes);
      losing = false;
      client.resetAndDestroy();
      service.destroy();
    });
    service.on("close", () => client.destroy());
    client.on("close", () => service.destroy());
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  return {
    port: (server.address() as AddressInfo).port,
    get connections() {
      return connections;
    },
    loseNextAnswer() {
      losing = true;
    },
  };
}
