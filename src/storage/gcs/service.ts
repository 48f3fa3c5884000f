import { randomUUID } from "node:crypto";
import { z } from "zod";
import type { Send } from "./login.ts";

/** What the service says of an object. */
export interface ObjectFacts {
  readonly name: string;
  readonly sizeBytes: number;
  readonly createdAt: Date;
  /** In base64; composed objects have none. */
  readonly md5: string | undefined;
}

/** An answer that is no success. */
export class RefusedError extends Error {
  readonly status: number;
  /** Google's word for it, e.g. `forbidden`. */
  readonly reason: string;
  /** By the service's clock. */
  readonly date: string | null;

  constructor(status: number, body: string, date: string | null) {
    const { message, reason } = errorOf(body);
    super(message);
    this.status = status;
    this.reason = reason;
    this.date = date;
  }
}

/** Ended too early, or not what was asked for: another try may help. */
class BrokenAnswer extends Error {
  readonly code = "ERR_STREAM_PREMATURE_CLOSE";
}

export interface Answer {
  readonly status: number;
  readonly headers: { get(name: string): string | null };
  readonly body: Buffer;
}

interface Call {
  readonly method: "GET" | "POST" | "DELETE";
  /** Below the endpoint. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
}

const FACTS = "name,size,timeCreated,md5Hash";
const PAGE_SIZE = "1000";

const objectSchema = z.object({
  name: z.string(),
  size: z.string().regex(/^\d+$/),
  timeCreated: z.iso.datetime({ offset: true }),
  md5Hash: z.string().optional(),
});
const listSchema = z.object({ items: z.array(objectSchema).default([]), nextPageToken: z.string().optional() });

/** Google's JSON API for one bucket: each call is one request, and fails as `RefusedError` or as the connection did. */
export class GcsService {
  readonly #send: Send;
  readonly #endpoint: string;
  readonly #bucket: string;

  constructor(send: Send, endpoint: string, bucket: string) {
    this.#send = send;
    this.#endpoint = endpoint;
    this.#bucket = `/storage/v1/b/${encodeURIComponent(bucket)}`;
  }

  async makeBucket(bucket: Readonly<Record<string, unknown>>, project: string, signal?: AbortSignal): Promise<void> {
    const body = Buffer.from(JSON.stringify(bucket));
    const headers = { "content-type": "application/json" };
    await this.#call({ method: "POST", path: "/storage/v1/b", query: { project }, headers, body }, signal);
  }

  /** @throws `RefusedError` 412 if there is an object of this name. */
  async insert(
    metadata: { readonly name: string; readonly md5Hash: string; readonly storageClass?: string },
    bytes: Uint8Array,
    kmsKey: string | undefined,
    signal?: AbortSignal,
  ): Promise<ObjectFacts> {
    const boundary = randomUUID();
    // One piece, whose length is told before it; and a copy, because the library can't send what lies in shared memory.
    const body = Buffer.concat([
      Buffer.from(
        `--${boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n${JSON.stringify(metadata)}\r\n`,
      ),
      Buffer.from(`--${boundary}\r\nContent-Type: application/octet-stream\r\n\r\n`),
      bytes,
      Buffer.from(`\r\n--${boundary}--\r\n`),
    ]);
    const query = {
      uploadType: "multipart",
      ifGenerationMatch: "0",
      fields: FACTS,
      ...(kmsKey === undefined ? {} : { kmsKeyName: kmsKey }),
    };
    const headers = { "content-type": `multipart/related; boundary=${boundary}` };
    const call = { method: "POST", path: `/upload${this.#bucket}/o`, query, headers, body } as const;
    return factsOf(parse(objectSchema, await this.#call(call, signal)));
  }

  async facts(name: string, signal?: AbortSignal): Promise<ObjectFacts> {
    const call = { method: "GET", path: this.#object(name), query: { fields: FACTS } } as const;
    return factsOf(parse(objectSchema, await this.#call(call, signal)));
  }

  /** @throws `RefusedError` 416 if the object has not even the first of the bytes. */
  async read(name: string, range: string | undefined, signal?: AbortSignal): Promise<Answer> {
    const headers = { "accept-encoding": "identity", ...(range === undefined ? {} : { range }) };
    return await this.#call({ method: "GET", path: this.#object(name), query: { alt: "media" }, headers }, signal);
  }

  async remove(name: string, signal?: AbortSignal): Promise<void> {
    await this.#call({ method: "DELETE", path: this.#object(name) }, signal);
  }

  /** One page of those whose names begin so, and what to ask for the next one with. */
  async page(
    prefix: string,
    pageToken: string | undefined,
    signal?: AbortSignal,
    maxResults: string = PAGE_SIZE,
  ): Promise<{ readonly objects: readonly ObjectFacts[]; readonly next: string | undefined }> {
    const fields = `items(${FACTS}),nextPageToken`;
    const query = { prefix, maxResults, fields, ...(pageToken === undefined ? {} : { pageToken }) };
    const page = parse(listSchema, await this.#call({ method: "GET", path: `${this.#bucket}/o`, query }, signal));
    if (page.nextPageToken !== undefined && page.nextPageToken === pageToken)
      throw new BrokenAnswer("the listing goes round in circles");
    return { objects: page.items.map(factsOf), next: page.nextPageToken };
  }

  #object(name: string): string {
    return `${this.#bucket}/o/${encodeURIComponent(name)}`;
  }

  async #call({ method, path, query, headers = {}, body }: Call, signal: AbortSignal | undefined): Promise<Answer> {
    const {
      status,
      headers: given,
      data,
    } = await this.#send<ArrayBuffer>({
      url: `${this.#endpoint}${path}?${new URLSearchParams(query)}`,
      method,
      headers,
      responseType: "arraybuffer",
      validateStatus: () => true,
      // It looks at every single byte of a body that could not be sent, for minutes. Of its errors only messages are ever shown.
      errorRedactor: false,
      ...(body === undefined ? {} : { data: body }),
      ...(signal === undefined ? {} : { signal }),
    });
    // 204 comes as a text without letters.
    const answer = { status, headers: given, body: Buffer.from(data) };
    if (status >= 200 && status < 300) return answer;
    throw new RefusedError(status, answer.body.toString("utf8"), given.get("date"));
  }
}

function factsOf({ name, size, timeCreated, md5Hash }: z.output<typeof objectSchema>): ObjectFacts {
  return { name, sizeBytes: Number(size), createdAt: new Date(timeCreated), md5: md5Hash };
}

function parse<Schema extends z.ZodType>(schema: Schema, { body }: Answer): z.output<Schema> {
  let json: unknown;
  try {
    json = JSON.parse(body.toString("utf8"));
  } catch {
    json = undefined;
  }
  const parsed = schema.safeParse(json);
  if (!parsed.success) throw new BrokenAnswer("the answer is none of Google Cloud Storage");
  return parsed.data;
}

const errorSchema = z.object({
  error: z.object({ message: z.string(), errors: z.array(z.object({ reason: z.string() })).default([]) }),
});

/** Downloads are refused with a text, everything else with JSON. */
function errorOf(body: string): { message: string; reason: string } {
  try {
    const { error } = errorSchema.parse(JSON.parse(body));
    return { message: error.message, reason: error.errors[0]?.reason ?? "" };
  } catch {
    return { message: body, reason: "" };
  }
}

/** The bytes of an answer to a ranged read, or to one of all: exactly those that were asked for, as far as there are any. */
export function bytesOf({ status, headers, body }: Answer, range?: { offset: number; length: number }): Buffer {
  const expected = range === undefined ? wholeLength(headers) : rangedLength(status, headers, range);
  if (expected !== undefined && body.length !== expected) {
    throw new BrokenAnswer(`${body.length} bytes came instead of ${expected}`);
  }
  return body;
}

function wholeLength(headers: Answer["headers"]): number | undefined {
  const length = headers.get("content-length");
  return length === null ? undefined : Number(length);
}

function rangedLength(status: number, headers: Answer["headers"], range: { offset: number; length: number }): number {
  const said = headers.get("content-range") ?? "";
  const [, first = "-1", total = "-1"] = /^bytes (\d+)-\d+\/(\d+)$/.exec(said) ?? [];
  if (status !== 206 || Number(first) !== range.offset)
    throw new BrokenAnswer(`the answer is about other bytes: ${said}`);
  return Math.min(range.length, Number(total) - range.offset);
}
