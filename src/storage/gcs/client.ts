import { randomUUID } from "node:crypto";
import { PassThrough, Readable } from "node:stream";
import { Storage } from "@google-cloud/storage";
import { ForeignAnswer, isPage } from "../network/foreign-answer.ts";
import { BrokenAnswer, jsonOf, RefusedError } from "./answers.ts";
import type { Login } from "./login.ts";

type Call = Parameters<Storage["request"]>[0];
type Callback = Parameters<Storage["request"]>[1];
type Part = NonNullable<Call["multipart"]>[number];

interface Answer {
  readonly headers: Headers;
  readonly body: Buffer;
}

/**
 * Google's client with another transport: its own can't be aborted nor cut where nothing moves, and trusts no certificates of one's
 * own. Whatever it does ends in these two methods. Each makes one request, over the login's connections, and fails as
 * `RefusedError` or as the connection did.
 */
export class Client extends Storage {
  readonly #base: string;
  readonly #signal: AbortSignal | undefined;

  /** @param signal ends whatever is asked of this client: there is one for each call. */
  constructor({ auth, project }: Login, endpoint: string, signal?: AbortSignal) {
    super({
      authClient: auth,
      apiEndpoint: endpoint,
      retryOptions: { autoRetry: false },
      ...(project === undefined ? {} : { projectId: project }),
    });
    this.#base = `${endpoint}/storage/v1/`;
    this.#signal = signal;
  }

  override request(call: Call, callback: Callback): void {
    this.#send(call)
      .then(({ body }) => callback(null, jsonOf(body)))
      .catch(callback);
  }

  override requestStream(call: Call): ReturnType<Storage["requestStream"]> {
    const stream = Object.assign(new PassThrough(), { agent: false, headers: {} } as const);
    this.#send(call).then(
      ({ headers, body }) => {
        const told = { headers: Object.fromEntries(headers) };
        stream.emit("response", Object.assign(Readable.from(body), { statusCode: 200, toJSON: () => told }));
      },
      (error: Error) => stream.destroy(error),
    );
    return stream;
  }

  async #send({ method = "GET", uri, qs, json, headers, multipart }: Call): Promise<Answer> {
    const url = new URL(uri.replace(/^\//, ""), this.#base);
    url.search = new URLSearchParams(qs).toString();
    const boundary = randomUUID();
    const content =
      multipart === undefined
        ? json !== undefined && { type: "application/json", data: Buffer.from(JSON.stringify(json)) }
        : { type: `multipart/related; boundary=${boundary}`, data: await joined(multipart, boundary) };
    const answer = await this.authClient.request<ArrayBuffer>({
      url,
      method: method as "GET",
      headers: { ...headers, ...(content ? { "content-type": content.type } : {}) },
      responseType: "arraybuffer",
      validateStatus: () => true,
      // It looks at every single byte of a body that could not be sent, for minutes. Of its errors only messages are ever shown.
      errorRedactor: false,
      ...(content ? { data: content.data } : {}),
      ...(this.#signal === undefined ? {} : { signal: this.#signal }),
    });
    // 204 comes as a text without letters.
    const body = Buffer.from(answer.data);
    if (!answer.ok) throw new RefusedError(answer.status, body.toString("utf8"), answer.headers.get("date"));
    if (body.length > 0 && isPage(answer.headers.get("content-type"))) throw new ForeignAnswer("it sends a web page");
    requireRange(headers?.Range, answer.headers, body);
    return { headers: answer.headers, body };
  }
}

/** One piece, whose length is told before it. */
async function joined(parts: readonly Part[], boundary: string): Promise<Buffer> {
  const pieces: Uint8Array[] = [];
  for (const { body, ...headers } of parts) {
    const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
    pieces.push(Buffer.from(`--${boundary}\r\n${lines.join("")}\r\n`));
    pieces.push(...(typeof body === "string" ? [Buffer.from(body)] : await body.toArray()), Buffer.from("\r\n"));
  }
  return Buffer.concat([...pieces, Buffer.from(`--${boundary}--\r\n`)]);
}

/** An answer to a ranged read has exactly the bytes that were asked for, as far as there are any. */
function requireRange(asked: unknown, headers: Headers, { length }: Buffer): void {
  if (typeof asked !== "string") return;
  const [, first, last] = /^bytes=(\d+)-(\d+)$/.exec(asked) ?? [];
  const told = headers.get("content-range") ?? "";
  const [, from, to, total] = /^bytes (\d+)-(\d+)\/(\d+)$/.exec(told) ?? [];
  const isWhole = from === first && Number(to) === Math.min(Number(last), Number(total) - 1);
  if (!isWhole) throw new BrokenAnswer(`the answer is about other bytes: ${told}`);
  if (length !== Number(to) - Number(from) + 1) throw new BrokenAnswer(`${length} bytes came for ${told}`);
}
