import * as http from "node:http";
import * as https from "node:https";
import type { Connections } from "../network/connections.ts";

/**
 * `fetch` over these connections, without redirections. The one that Google's library brings switches the timeout of a connection
 * off when an answer begins, and waits for ever where it then stands still.
 */
export function fetchOver(connections: Connections): typeof fetch {
  return async (input, { method = "GET", headers, body, signal } = {}) => {
    const url = new URL(input instanceof Request ? input.url : input);
    const { request } = url.protocol === "http:" ? http : https;
    const answer = await new Promise<http.IncomingMessage>((resolve, reject) => {
      const sent = request(url, {
        method,
        headers: Object.fromEntries(new Headers(headers)),
        agent: connections.agentFor(url.protocol),
        ...(signal === null || signal === undefined ? {} : { signal }),
      });
      sent.on("response", resolve).on("error", reject).end(bytesOf(body));
    });
    const pieces: Buffer[] = [];
    for await (const piece of answer) pieces.push(piece);
    const status = answer.statusCode ?? 0;
    // These must not have a body, not even an empty one.
    const content = [204, 304].includes(status) ? null : Buffer.concat(pieces);
    return new Response(content, { status, headers: headersOf(answer) });
  };
}

function bytesOf(body: unknown): Uint8Array | string {
  if (body === undefined || body === null) return "";
  return body instanceof Uint8Array ? body : String(body);
}

function headersOf({ headers }: http.IncomingMessage): Headers {
  return new Headers(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name, String(value)] satisfies [string, string]],
    ),
  );
}
