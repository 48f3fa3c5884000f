import { once } from "node:events";
import { type AddressInfo, createServer, type Server } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import type { Connection } from "../../../src/engines/postgres/connection.ts";
import { openSession } from "../../../src/engines/postgres/session.ts";
import { swapDatabases } from "../../../src/engines/postgres/swap.ts";

/** A server that takes connections and says nothing. */
async function silentServer(): Promise<{ readonly server: Server; readonly connection: Connection }> {
  const server = createServer((socket) => onTestFinished(() => void socket.destroy())).listen(0, "127.0.0.1");
  onTestFinished(() => void server.close());
  await once(server, "listening");
  const { port } = server.address() as AddressInfo;
  return { server, connection: { host: "127.0.0.1", port, user: "app", sslmode: "disable" } };
}

test("a server that takes the connection and says nothing is left as soon as the run is interrupted", async () => {
  const { server, connection } = await silentServer();
  const run = new AbortController();

  const opening = openSession(connection, "app", run.signal);
  await once(server, "connection");
  run.abort(new Error("interrupted"));

  await expect(opening).rejects.toThrow("interrupted");
});

test("so it is while a restored database is put in place", async () => {
  const { server, connection } = await silentServer();
  const run = new AbortController();
  const { signal } = run;

  const swapping = swapDatabases({ connection, adminDatabase: "postgres", from: "new", to: "app", token: "0", signal });
  await once(server, "connection");
  run.abort(new Error("interrupted"));

  await expect(swapping).rejects.toThrow("interrupted");
});
