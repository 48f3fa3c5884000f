import { createServer, type IncomingMessage, type RequestListener, type ServerResponse } from "node:http";
import { createServer as createSecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import { answerJson, answerRefusal, onlyFields, Refusal } from "./answers.ts";
import { Objects, type StoredBlob } from "./objects.ts";
import { type Account, Tokens } from "./tokens.ts";

/** What happens to a call instead of its answer, or after it. */
export type Fault = "lose the answer" | "never answer" | "stop in the middle" | Refusal | SomebodyElse;

/** What a proxy on the way says with status 200. */
export interface SomebodyElse {
  readonly says: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface FakeGcs {
  readonly endpoint: string;
  /** How many connections were made so far. */
  readonly connections: number;
  /** Method and path with query of each call so far. */
  readonly calls: readonly string[];
  /** How far the service's clock is ahead of this host's. */
  clockAheadMs: number;
  /** Asked for each call to the storage. */
  fault: ((call: string) => Fault | undefined) | undefined;
  /** The JSON key of a service account; an earlier one of it is revoked by that. */
  keyOf(account: Account): string;
  object(bucket: string, name: string): StoredBlob;
  /** @param settings members of its resource, such as `retentionPolicy` */
  addBucket(name: string, settings?: object): void;
  /** Nobody may remove that object until then. */
  retainObject(bucket: string, name: string, until: Date): void;
  /** As somebody else would: whatever the name, over whatever is there. */
  addObject(bucket: string, name: string, bytes: Buffer): void;
  /** At once, with every call; `start` goes on with all that was answered. */
  stop(): Promise<void>;
  start(): Promise<void>;
}

interface Call {
  readonly method: string;
  readonly path: string;
  readonly query: URLSearchParams;
  readonly headers: IncomingMessage["headers"];
  readonly body: Buffer;
}

const WRITES: Readonly<Record<string, string>> = { POST: "storage.objects.create", DELETE: "storage.objects.delete" };

/**
 * A fake of Google Cloud Storage on the wire, written from its public documentation
 * (https://cloud.google.com/storage/docs/json_api/v1): uploads of one request, downloads with ranges, metadata, pages, deletion,
 * preconditions, hashes, and logins of service accounts. Two accounts: `writer` may do everything, `reader` may read and list.
 */
export async function startFakeGcs(tls?: { readonly key: string; readonly cert: string }): Promise<FakeGcs> {
  const objects = new Objects();
  const tokens = new Tokens();
  const sockets = new Set<Socket>();
  const calls: string[] = [];
  let connections = 0;
  const listener: RequestListener = (request, response) => void serve(request, response);
  const server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  server.on(tls === undefined ? "connection" : "secureConnection", (socket: Socket) => {
    connections++;
    sockets.add(socket.on("close", () => sockets.delete(socket)).on("error", () => undefined));
  });
  const listen = (at: number) => new Promise<void>((resolve) => server.listen(at, "127.0.0.1", resolve));
  await listen(0);
  const { port } = server.address() as AddressInfo;
  const endpoint = `${tls === undefined ? "http" : "https"}://localhost:${port}`;

  const now = () => new Date(Date.now() + fake.clockAheadMs);

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? "/", endpoint);
    const named = `${request.method} ${url.pathname}${url.search}`;
    calls.push(named);
    response.setHeader("date", now().toUTCString());
    const body = await bodyOf(request).catch(() => undefined);
    if (body === undefined) return;
    const call = {
      method: request.method ?? "",
      path: url.pathname,
      query: url.searchParams,
      headers: request.headers,
      body,
    };
    if (call.path === "/token") {
      const { status, body: answer } = tokens.give(body.toString("utf8"), now().getTime());
      answerJson(response, status, answer);
      return;
    }
    const fault = fake.fault?.(named);
    if (fault === "never answer") return;
    if (typeof fault === "object" && "says" in fault) {
      response.writeHead(200, fault.headers).end(fault.says);
      return;
    }
    try {
      if (fault instanceof Refusal) throw fault;
      requirePermission(call, tokens);
      if (fault === "lose the answer") answerLost(() => answer(call, response, objects, now()), response);
      else answer(call, response, objects, now(), fault === "stop in the middle");
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      answerRefusal(response, error, call.query.get("alt") === "media");
    }
  }

  const fake: FakeGcs = {
    endpoint,
    get connections() {
      return connections;
    },
    calls,
    clockAheadMs: 0,
    fault: undefined,
    keyOf: (account) => JSON.stringify(tokens.keyFile(account, `${endpoint}/token`)),
    object: (bucket, name) => objects.find(bucket, name),
    addBucket: (name, settings) => objects.addBucket(name, settings),
    retainObject: (bucket, name, until) => objects.retain(bucket, name, until),
    addObject: (bucket, name, bytes) => void objects.insert(bucket, { name }, bytes, new URLSearchParams(), now()),
    start: () => listen(port),
    stop: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
  return fake;
}

async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const pieces: Buffer[] = [];
  for await (const piece of request) pieces.push(piece as Buffer);
  return Buffer.concat(pieces);
}

/** What was asked for is done; who asked never hears of it. */
function answerLost(work: () => void, response: ServerResponse): void {
  response.write = () => true;
  response.end = () => response;
  work();
  response.socket?.destroy();
}

function requirePermission({ method, headers }: Call, tokens: Tokens): void {
  const [, token] = /^Bearer (.+)$/.exec(headers.authorization ?? "") ?? [];
  if (token === undefined)
    throw new Refusal(401, "required", "Anonymous caller does not have storage.objects.list access.");
  const account = tokens.accountOf(token);
  if (account === undefined) throw new Refusal(401, "authError", "Invalid Credentials");
  const permission = WRITES[method];
  if (permission === undefined || account === "writer") return;
  throw new Refusal(
    403,
    "forbidden",
    `reader@example-project.iam.gserviceaccount.com does not have ${permission} access to the Google Cloud Storage object.`,
  );
}

function answer(call: Call, response: ServerResponse, objects: Objects, now: Date, stop = false): void {
  const [, upload, bucket, name] =
    /^(\/upload)?\/storage\/v1\/b(?:\/([^/]+)(?:\/o(?:\/([^/]+))?)?)?$/
      .exec(call.path)
      ?.map((it) => it && decodeURIComponent(it)) ?? [];
  const fields = call.query.get("fields");
  const json = (value: unknown) => answerJson(response, 200, onlyFields(value, fields));
  const depth = [bucket, name].filter((it) => it !== undefined).length;
  switch (`${upload === undefined ? "" : "upload "}${call.method} ${depth}`) {
    case "POST 0": {
      const { name: made = "" } = JSON.parse(call.body.toString("utf8")) as { name?: string };
      if (call.query.get("project") === null) throw new Refusal(400, "required", "Required parameter: project");
      objects.addBucket(made);
      json({ kind: "storage#bucket", name: made });
      break;
    }
    case "GET 1":
      if (call.path.endsWith("/o")) json(objects.page(bucket ?? "", call.query));
      else json(objects.describe(bucket ?? ""));
      break;
    case "upload POST 1": {
      const { metadata, bytes } = uploaded(call);
      json(objects.insert(bucket ?? "", metadata, bytes, call.query, now));
      break;
    }
    case "GET 2": {
      const found = objects.find(bucket ?? "", name ?? "");
      if (call.query.get("alt") === "media") answerBytes(call, response, found, stop);
      else json(found.resource);
      break;
    }
    case "DELETE 2":
      objects.remove(bucket ?? "", name ?? "", now);
      response.writeHead(204).end();
      break;
    default:
      throw new Refusal(404, "notFound", "Not Found");
  }
}

/** https://cloud.google.com/storage/docs/uploading-objects: `media`, or the two parts of `multipart`. */
function uploaded({ query, headers, body }: Call): { metadata: Record<string, string>; bytes: Buffer } {
  if (query.get("uploadType") === "media") return { metadata: {}, bytes: body };
  if (query.get("uploadType") !== "multipart")
    throw new Refusal(501, "notImplemented", "This fake has no resumable uploads.");
  const [, boundary] = /boundary="?([^";]+)"?/.exec(headers["content-type"] ?? "") ?? [];
  if (boundary === undefined) throw new Refusal(400, "badContent", "Multipart must have a boundary");
  const end = body.lastIndexOf(`\r\n--${boundary}--`);
  const second = body.indexOf(`\r\n--${boundary}\r\n`);
  const first = body.subarray(body.indexOf("\r\n\r\n") + 4, second).toString("utf8");
  const start = body.indexOf("\r\n\r\n", second + boundary.length + 4) + 4;
  if (end < start || second < 0) throw new Refusal(400, "badContent", "Multipart must have two parts");
  return { metadata: JSON.parse(first) as Record<string, string>, bytes: Buffer.from(body.subarray(start, end)) };
}

function answerBytes(
  { headers }: Call,
  response: ServerResponse,
  { bytes, resource }: StoredBlob,
  stop: boolean,
): void {
  const [, from, to = ""] = /^bytes=(\d+)-(\d*)$/.exec(headers.range ?? "") ?? [];
  const first = Number(from ?? 0);
  if (from !== undefined && first >= bytes.length) {
    throw new Refusal(416, "requestedRangeNotSatisfiable", "The requested range cannot be satisfied.");
  }
  const piece = bytes.subarray(first, to === "" ? bytes.length : Number(to) + 1);
  response.writeHead(from === undefined ? 200 : 206, {
    "content-type": resource.contentType,
    "content-length": piece.length,
    "x-goog-hash": `crc32c=${resource.crc32c},md5=${resource.md5Hash}`,
    "x-goog-generation": resource.generation,
    "x-goog-stored-content-encoding": "identity",
    ...(from === undefined ? {} : { "content-range": `bytes ${first}-${first + piece.length - 1}/${bytes.length}` }),
  });
  if (stop) response.write(piece.subarray(0, piece.length / 2));
  else response.end(piece);
}
