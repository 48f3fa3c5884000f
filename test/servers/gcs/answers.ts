import type { ServerResponse } from "node:http";

/** What the service refuses, in the shape of its JSON API. */
export class Refusal extends Error {
  readonly status: number;
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export const noSuchBucket = () => new Refusal(404, "notFound", "The specified bucket does not exist.");
export const noSuchObject = (bucket: string, name: string) =>
  new Refusal(404, "notFound", `No such object: ${bucket}/${name}`);

export function answerJson(response: ServerResponse, status: number, value: unknown): void {
  const body = Buffer.from(JSON.stringify(value));
  response.writeHead(status, { "content-type": "application/json; charset=UTF-8", "content-length": body.length });
  response.end(body);
}

/** Downloads are refused with a text. */
export function answerRefusal(response: ServerResponse, { status, reason, message }: Refusal, asText: boolean): void {
  if (asText) {
    response.writeHead(status, {
      "content-type": "text/html; charset=UTF-8",
      "content-length": Buffer.byteLength(message),
    });
    response.end(message);
    return;
  }
  const errors = [{ message, domain: "global", reason }];
  answerJson(response, status, { error: { code: status, message, errors } });
}

/** What a partial response has, for `a,b` and `items(a,b),c`: https://cloud.google.com/storage/docs/json_api#partial-response */
export function onlyFields(value: unknown, fields: string | null): unknown {
  if (fields === null) return value;
  if (Array.isArray(value)) return value.map((member: unknown) => onlyFields(member, fields));
  const wanted = [...fields.matchAll(/([A-Za-z0-9]+)(?:\(([^)]*)\))?/g)];
  const all = new Map(Object.entries(value as object));
  return Object.fromEntries(
    wanted.flatMap(([, name = "", below]) =>
      all.has(name) ? [[name, below === undefined ? all.get(name) : onlyFields(all.get(name), below)]] : [],
    ),
  );
}
