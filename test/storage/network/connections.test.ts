import { randomBytes } from "node:crypto";
import { createServer, type IncomingMessage, type RequestListener, request, type ServerOptions } from "node:http";
import { type AddressInfo, createServer as createTcpServer, type Socket } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { type Connections, keptConnections } from "../../../src/storage/network/connections.ts";

const STALL_MS = 400;

async function connectionsOf(): Promise<Connections> {
  const connections = await keptConnections(undefined, { name: "cloud", stallTimeoutMs: STALL_MS });
  onTestFinished(() => connections.close());
  return connections;
}

async function serve(
  listener: RequestListener,
  options: ServerOptions = {},
): Promise<{ port: number; connections: () => number }> {
  let connections = 0;
  const server = createServer(options, listener).on("connection", () => connections++);
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    server.closeAllConnections();
    server.close();
  });
  return { port: (server.address() as AddressInfo).port, connections: () => connections };
}

/** Sends the body, and returns that of the answer. */
function call(connections: Connections, port: number, body?: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const onAnswer = (answer: IncomingMessage) => {
      const pieces: Buffer[] = [];
      answer.on("data", (piece: Buffer) => pieces.push(piece));
      answer.on("end", () => resolve(Buffer.concat(pieces)));
      answer.on("error", reject);
    };
    const agent = connections.agentFor("http:");
    request({ port, host: "127.0.0.1", method: "POST", agent }, onAnswer).on("error", reject).end(body);
  });
}

test("connections are used again", async () => {
  const connections = await connectionsOf();
  const server = await serve((incoming, response) => void incoming.resume().on("end", () => response.end("ok")));

  for (let n = 0; n < 5; n++) expect((await call(connections, server.port, randomBytes(1000))).toString()).toBe("ok");

  expect(server.connections()).toBe(1);
});

test("a connection that nobody used for long is no stall", async () => {
  const connections = await connectionsOf();
  const server = await serve((incoming, response) => void incoming.resume().on("end", () => response.end("ok")));

  await call(connections, server.port);
  await new Promise((resolve) => setTimeout(resolve, 3 * STALL_MS));
  await call(connections, server.port);

  expect(server.connections()).toBe(1);
});

test.each([
  ["than a service would wait that does not say how long", 0, 4_500],
  ["than the service says that it waits, but for a second", 2_000, 1_500],
])("a connection that nobody used for longer %s is not used again", async (_, keepAliveTimeout, idleMs) => {
  const connections = await connectionsOf();
  const server = await serve((incoming, response) => void incoming.resume().on("end", () => response.end("ok")), {
    keepAliveTimeout,
  });

  await call(connections, server.port);
  await new Promise((resolve) => setTimeout(resolve, idleMs));
  await call(connections, server.port);

  expect(server.connections()).toBe(2);
});

test.each(["first", "second"])("an answer that does not come is cut, on the %s use of a connection", async (use) => {
  const connections = await connectionsOf();
  let answered = use === "first" ? 1 : 0;
  const server = await serve((incoming, response) => {
    incoming.resume();
    if (answered++ === 0) response.end("ok");
  });
  if (use === "second") await call(connections, server.port);
  const before = performance.now();

  await expect(call(connections, server.port)).rejects.toMatchObject({ code: "ETIMEDOUT" });

  expect(performance.now() - before).toBeLessThan(3 * STALL_MS);
});

test("a download that stands still in the middle is cut", async () => {
  const connections = await connectionsOf();
  const server = await serve((incoming, response) => {
    incoming.resume();
    response.writeHead(200, { "content-length": 1_000_000 });
    response.write(randomBytes(300_000));
  });

  await expect(call(connections, server.port)).rejects.toThrow();
});

test("an upload that nobody takes is cut", async () => {
  const sockets: Socket[] = [];
  const server = createTcpServer((socket) => void sockets.push(socket.pause().on("error", () => undefined)));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy();
    server.close();
  });
  const connections = await connectionsOf();

  const upload = call(connections, (server.address() as AddressInfo).port, randomBytes(32 * 1024 * 1024));

  await expect(upload).rejects.toMatchObject({ code: "ETIMEDOUT" });
});

test("an upload and a download over a slow line are not cut, though they take many times the timeout", async () => {
  const connections = await connectionsOf();
  const bytes = randomBytes(2_000_000);
  const server = await serve((incoming, response) => {
    const pieces: Buffer[] = [];
    // Takes 64 kB each 40 ms.
    const timer = setInterval(() => {
      const piece: Buffer | null = incoming.read(65_536) ?? incoming.read();
      if (piece !== null) pieces.push(piece);
    }, 40);
    incoming.on("end", () => {
      clearInterval(timer);
      const all = Buffer.concat(pieces);
      response.writeHead(200, { "content-length": all.length });
      let sent = 0;
      const sender = setInterval(() => {
        response.write(all.subarray(sent, sent + 65_536));
        sent += 65_536;
        if (sent < all.length) return;
        clearInterval(sender);
        response.end();
      }, 40);
    });
  });
  const before = performance.now();

  const back = await call(connections, server.port, bytes);

  expect(back.equals(bytes)).toBe(true);
  expect(performance.now() - before).toBeGreaterThan(4 * STALL_MS);
});

test("a file of certificates that can't be read is CONFIG_INVALID", async () => {
  await expect(keptConnections("/no/such/ca.pem", { name: "cloud" })).rejects.toMatchObject({
    code: "CONFIG_INVALID",
    message: expect.stringContaining('storage "cloud": ca_file:'),
  });
});
