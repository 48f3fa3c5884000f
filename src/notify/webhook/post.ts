import * as http from "node:http";
import * as https from "node:https";

interface PostOptions {
  readonly headers: Readonly<Record<string, string>>;
  /** All certificates that are trusted; those of the program where there are none. */
  readonly ca: readonly string[] | undefined;
  readonly signal: AbortSignal;
}

/** The status of the answer, of which nothing else is read. Over a connection of its own; leads nowhere else. */
export async function post(url: URL, body: string, { headers, ca, signal }: PostOptions): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const { request } = url.protocol === "https:" ? https : http;
  const call = request(url, {
    ...{ method: "POST", agent: false, signal, minVersion: "TLSv1.2" },
    headers: { ...headers, "Content-Length": Buffer.byteLength(body) },
    ...(ca === undefined ? {} : { ca: [...ca] }),
  });
  call.on("error", reject);
  call.on("response", ({ statusCode = 0 }) => {
    resolve(statusCode);
    call.destroy();
  });
  call.end(body);
  return promise;
}
