import { once } from "node:events";
import { type AddressInfo, createServer } from "node:net";
import { expect, onTestFinished, test } from "vitest";
import { openSession } from "../../../src/engines/postgres/session.ts";

test("a server that takes the connection and says nothing is left as soon as the run is interrupted", async () => {
  const silent = createServer((socket) => onTestFinished(() => void socket.destroy())).listen(0, "127.0.0.1");
  onTestFinished(() => void silent.close());
  await once(silent, "listening");
  const { port } = silent.address() as AddressInfo;
  const run = new AbortController();

  const opening = openSession({ host: "127.0.0.1", port, user: "app", sslmode: "disable" }, "app", run.signal);
  await once(silent, "connection");
  run.abort(new Error("interrupted"));

  await expect(opening).rejects.toThrow("interrupted");
});
