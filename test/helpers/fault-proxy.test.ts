import * as net from "node:net";
import { setTimeout as sleep } from "node:timers/promises";
import { expect, it, onTestFinished } from "vitest";
import { type FaultProxy, startFaultProxy } from "./fault-proxy.ts";

/** A server that sends back what it is told. */
async function open(): Promise<FaultProxy> {
  const server = net.createServer({ allowHalfOpen: true }, (socket) => {
    socket.on("error", () => undefined);
    socket.pipe(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const proxy = await startFaultProxy((server.address() as net.AddressInfo).port);
  onTestFinished(async () => {
    await proxy.close();
    server.close();
  });
  return proxy;
}

/** Says so many bytes and counts those that come back, until the end, an error or `forMs`. */
async function echo(
  port: number,
  bytes: number,
  forMs = 5_000,
): Promise<{ readonly back: number; readonly end: string }> {
  const socket = net.connect({ port, host: "127.0.0.1" });
  let back = 0;
  socket.on("data", (data) => {
    back += data.length;
  });
  const ended = new Promise<string>((resolve) => {
    socket.on("end", () => resolve("end"));
    socket.on("error", (error) => resolve("code" in error ? String(error.code) : error.message));
  });
  socket.end(Buffer.alloc(bytes, "x"));
  const end = await Promise.race([ended, sleep(forMs, "nothing")]);
  socket.destroy();
  return { back, end };
}

it("lets everything through, both ways, to the end", async () => {
  const proxy = await open();

  expect(await echo(proxy.port, 3_000_000)).toEqual({ back: 3_000_000, end: "end" });
});

it.each(["up", "down"] as const)(
  "resets one connection after so many bytes went %s, and no other",
  async (direction) => {
    const proxy = await open();
    proxy.breakNext({ kind: "reset", direction, after: 100_000 });

    const first = await echo(proxy.port, 1_000_000);
    const second = await echo(proxy.port, 1_000_000);

    expect(first.end).toMatch(/ECONNRESET|EPIPE/);
    expect(first.back).toBeLessThanOrEqual(100_000);
    expect(second).toEqual({ back: 1_000_000, end: "end" });
    expect(proxy).toMatchObject({ broken: 1, connections: 2 });
  },
);

it.each(["up", "down"] as const)("lets one connection stall after so many bytes went %s", async (direction) => {
  const proxy = await open();
  proxy.breakNext({ kind: "stall", direction, after: 100_000 });

  expect(await echo(proxy.port, 1_000_000, 300)).toEqual({ back: 100_000, end: "nothing" });
  expect(await echo(proxy.port, 1_000_000)).toEqual({ back: 1_000_000, end: "end" });
});

it("is as slow as it is told", async () => {
  const proxy = await open();
  proxy.line.bytesPerSecond = 1_000_000;
  const startedMs = performance.now();

  expect((await echo(proxy.port, 500_000)).back).toBe(500_000);

  expect(performance.now() - startedMs).toBeGreaterThan(450);
});

it("is as late as it is told", async () => {
  const proxy = await open();
  proxy.line.latencyMs = 100;
  const startedMs = performance.now();

  expect((await echo(proxy.port, 10)).back).toBe(10);

  expect(performance.now() - startedMs).toBeGreaterThan(195);
});

it("refuses until it accepts again", async () => {
  const proxy = await open();
  const open_ = echo(proxy.port, 0, 1_000);

  proxy.refuse();

  expect((await echo(proxy.port, 10)).end).toBe("ECONNREFUSED");
  await open_;
  await proxy.accept();
  expect(await echo(proxy.port, 10)).toEqual({ back: 10, end: "end" });
});
