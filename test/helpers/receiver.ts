import { createServer, type IncomingMessage, type RequestListener, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { onTestFinished } from "vitest";

/** What a receiver of notifications does with the next requests. */
export type Behaviour =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly says?: string }
  /** It never answers, unless `answer` has it do so. */
  | "silent"
  /** It reads the request and closes the connection. */
  | "hangs up"
  /** It answers 200 and never stops talking. */
  | "endless"
  /** It answers a header at a time, and never the last. */
  | "dribbles"
  /** It answers something else than HTTP. */
  | "babbles";

export interface Receiver {
  readonly url: string;
  readonly requests: readonly ReceivedRequest[];
  /** Each for one request, the last for all that follow. */
  behave(...behaviours: readonly Behaviour[]): void;
  /** Has whoever still waits for an answer get one: it was taken. */
  answer(): void;
  /** Resolves when so many requests have come. */
  hasReceived(count: number): Promise<void>;
  stop(): Promise<void>;
}

export interface ReceivedRequest {
  readonly method: string | undefined;
  readonly path: string | undefined;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

const ACCEPTS = { status: 204 } as const;

/** A real server on this host until the test ends, with TLS where it is given a certificate. */
export async function startReceiver(tls?: { readonly key: Buffer; readonly cert: Buffer }): Promise<Receiver> {
  const requests: ReceivedRequest[] = [];
  const waiting: ServerResponse[] = [];
  let plan: readonly Behaviour[] = [ACCEPTS];
  let arrived = Promise.withResolvers<void>();
  const listener: RequestListener = async (request, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of request) chunks.push(Buffer.from(chunk));
    const { method, url: path, headers } = request;
    requests.push({ method, path, headers, body: Buffer.concat(chunks).toString() });
    const [behaviour = ACCEPTS, ...others] = plan;
    if (others.length > 0) plan = others;
    if (behaviour === "silent") waiting.push(response);
    else answer(response, behaviour);
    arrived.resolve();
    arrived = Promise.withResolvers();
  };
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  const port = await listen(server);
  const stop = async (): Promise<void> => {
    server.closeAllConnections();
    if (server.listening) await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  onTestFinished(stop);
  return {
    url: `${tls === undefined ? "http" : "https"}://127.0.0.1:${port}/hooks/T0000-a-token-in-the-path`,
    requests,
    behave: (...behaviours) => {
      plan = behaviours;
    },
    answer: () => {
      for (const response of waiting.splice(0)) answer(response, ACCEPTS);
    },
    hasReceived: async (count) => {
      while (requests.length < count) await arrived.promise;
    },
    stop,
  };
}

function answer(response: ServerResponse, behaviour: Exclude<Behaviour, "silent">): void {
  if (behaviour === "hangs up") {
    response.destroy();
    return;
  }
  if (behaviour === "babbles") {
    response.socket?.end("220 mail.example.org ESMTP\r\n");
    return;
  }
  if (behaviour === "dribbles") {
    response.socket?.write("HTTP/1.1 200 OK\r\n");
    const dribbling = setInterval(() => response.socket?.write("X-More: to come\r\n"), 50);
    response.on("close", () => clearInterval(dribbling));
    return;
  }
  if (behaviour === "endless") {
    response.writeHead(200);
    const talk = (): void => {
      while (!response.destroyed && response.write(Buffer.alloc(64 * 1024)));
    };
    response.on("drain", talk);
    talk();
    return;
  }
  response.writeHead(behaviour.status, behaviour.headers).end(behaviour.says);
}

async function listen(server: Server): Promise<number> {
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return address.port;
}
