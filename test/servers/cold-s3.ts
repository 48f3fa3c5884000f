import { createServer, type IncomingMessage, request, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { text } from "node:stream/consumers";

/** A line to a real S3 service that adds what that lacks: objects of the class GLACIER can't be read before they were asked for. */
export interface ColdS3 {
  readonly port: number;
  /** Keys that were asked for, with the days and the tier of the request. */
  readonly asked: Map<string, { readonly days: string; readonly tier: string }>;
  /** So long goes by, by the clock of this service alone. */
  pass(ms: number): void;
  stop(): Promise<void>;
}

interface Thaw {
  readonly readyAt: number;
  readonly endsAt: number;
}

const HOUR_MS = 3_600_000;
/** What Amazon says that the tier Standard takes at most. */
export const STANDARD_MS = 5 * HOUR_MS;

/**
 * What it answers by itself is as Amazon documents it: `InvalidObjectState` to reading, RestoreObject, and `x-amz-restore` in answers to HEAD.
 * Signatures of RestoreObject are not checked; everything else the service behind it checks.
 */
export async function startColdS3(servicePort: number): Promise<ColdS3> {
  const thaws = new Map<string, Thaw>();
  const asked: ColdS3["asked"] = new Map();
  let nowMs = 0;

  const isThawed = (key: string): boolean => {
    const thaw = thaws.get(key);
    return thaw !== undefined && thaw.readyAt <= nowMs && nowMs < thaw.endsAt;
  };

  async function restore(key: string, incoming: IncomingMessage, answer: ServerResponse): Promise<void> {
    const body = await text(incoming);
    const [, days = ""] = /<Days>(\d+)<\/Days>/.exec(body) ?? [];
    const [, tier = ""] = /<Tier>(\w+)<\/Tier>/.exec(body) ?? [];
    const known = thaws.get(key);
    if (known !== undefined && nowMs < known.readyAt) return refuse(answer, 409, "RestoreAlreadyInProgress");
    const readyAt = known === undefined || known.endsAt <= nowMs ? nowMs + STANDARD_MS : nowMs;
    thaws.set(key, { readyAt, endsAt: readyAt + Number(days) * 24 * HOUR_MS });
    asked.set(key, { days, tier });
    answer.writeHead(readyAt === nowMs ? 200 : 202).end();
  }

  const server = createServer((incoming, answer) => {
    const { pathname, searchParams } = new URL(incoming.url ?? "", "http://localhost");
    const { method, url: path, headers } = incoming;
    if (method === "POST" && searchParams.has("restore")) {
      void restore(pathname, incoming, answer);
      return;
    }
    const onward = request({ host: "127.0.0.1", port: servicePort, method, path, headers }, (response) => {
      const { statusCode = 502, headers: given } = response;
      const isCold = given["x-amz-storage-class"] === "GLACIER";
      if (isCold && method === "GET" && statusCode < 300 && !isThawed(pathname)) {
        response.resume();
        return refuse(answer, 403, "InvalidObjectState");
      }
      const state = isThawed(pathname) ? 'ongoing-request="false"' : 'ongoing-request="true"';
      const isKept = nowMs < (thaws.get(pathname)?.endsAt ?? 0);
      const restored = isCold && isKept ? { "x-amz-restore": state } : {};
      answer.writeHead(statusCode, { ...given, ...restored });
      response.pipe(answer);
    });
    onward.on("error", () => answer.destroy());
    incoming.pipe(onward);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return {
    port: (server.address() as AddressInfo).port,
    asked,
    pass: (ms) => {
      nowMs += ms;
    },
    stop: async () => {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

function refuse(answer: ServerResponse, status: number, code: string): void {
  answer.writeHead(status, { "content-type": "application/xml" });
  answer.end(
    `<?xml version="1.0" encoding="UTF-8"?><Error><Code>${code}</Code><Message>as documented</Message></Error>`,
  );
}
