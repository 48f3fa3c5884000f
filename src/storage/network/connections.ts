import { readFileSync } from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import * as tls from "node:tls";
import { BackupctlError, messageOf } from "../../errors.ts";
import { readCertificates } from "../../platform/certificates.ts";
import type { StorageContext } from "../storage.ts";

const DEFAULT_STALL_TIMEOUT_MS = 60_000;
/**
 * So long nobody uses a connection before it is closed, or shorter where the service says that it closes it sooner: services do after 5
 * seconds and more, and what is sent at that moment is lost.
 */
const LONGEST_IDLE_MS = 4_000;

/** Connections of one storage over HTTP: kept open and used again, and cut where nothing moves. */
export interface Connections {
  /** For a URL whose protocol is this, `https:` or `http:`. */
  agentFor(protocol: string): http.Agent;
  /** Closes them; what runs over them fails. */
  close(): void;
}

/**
 * @param certificates a file of certificates (PEM) that are trusted beside the well-known ones
 * @param context a connection over which nothing has moved for its `stallTimeoutMs` is cut (`ETIMEDOUT`), before it is twice that
 * @throws `CONFIG_INVALID` if the file can't be read or has none
 */
export async function keptConnections(
  certificates: string | undefined,
  { name, stallTimeoutMs = DEFAULT_STALL_TIMEOUT_MS }: StorageContext,
): Promise<Connections> {
  const trusted =
    certificates === undefined ? {} : { ca: [...tls.rootCertificates, await trustedIn(certificates, name)] };
  const plain = new http.Agent({ keepAlive: true, timeout: LONGEST_IDLE_MS });
  const secure = new https.Agent({ keepAlive: true, timeout: LONGEST_IDLE_MS, minVersion: "TLSv1.2", ...trusted });
  for (const agent of [plain, secure]) cutStalls(agent, stallTimeoutMs);
  return {
    agentFor: (protocol) => (protocol === "http:" ? plain : secure),
    close() {
      plain.destroy();
      secure.destroy();
    },
  };
}

async function trustedIn(file: string, storage: string): Promise<string> {
  try {
    return await readCertificates(file);
  } catch (error) {
    throw new BackupctlError("CONFIG_INVALID", `storage "${storage}": ca_file: ${messageOf(error)}`, {
      cause: error,
      hint: "Give the file with the CA's certificate in PEM format, readable for this user.",
    });
  }
}

function cutStalls(agent: http.Agent, stallTimeoutMs: number): void {
  const windowMs = Math.ceil(stallTimeoutMs / 2);
  const create = agent.createConnection.bind(agent);
  agent.createConnection = (options, callback) => {
    const socket = create(options, callback);
    if (isSocket(socket)) cutWhenStalled(socket, windowMs, stallTimeoutMs);
    return socket;
  };
  // While nobody uses the connection the agent sets another one, at whose end it closes it.
  const reuse = agent.reuseSocket.bind(agent);
  agent.reuseSocket = (socket, request) => {
    reuse(socket, request);
    if (isSocket(socket)) socket.setTimeout(windowMs);
  };
}

function isSocket(stream: Duplex | null | undefined): stream is Socket {
  return stream !== null && stream !== undefined && "setTimeout" in stream;
}

/** Cuts it after two windows on end in which no byte came, none went, and the kernel got rid of none. */
function cutWhenStalled(socket: Socket, windowMs: number, stallTimeoutMs: number): void {
  let before = "";
  let idleWindows = 0;
  socket.setTimeout(windowMs);
  socket.on("timeout", () => {
    const unconfirmed = unconfirmedBytes(socket);
    const now = `${socket.bytesRead} ${socket.bytesWritten} ${unconfirmed}`;
    if (now === before) idleWindows += 1;
    else idleWindows = unconfirmed > 0 ? 0 : 1;
    before = now;
    if (idleWindows < 2) socket.setTimeout(windowMs);
    else
      socket.destroy(Object.assign(new Error(`nothing moved for ${stallTimeoutMs / 1000} s`), { code: "ETIMEDOUT" }));
  });
}

/**
 * What was given to the kernel and the other side has not confirmed. Up to 4 MiB lie there, which over a slow line takes longer than
 * any timeout should be, while all that Node knows is that they are written. 0 where the system does not tell.
 */
function unconfirmedBytes({ localPort, remotePort, remoteFamily }: Socket): number {
  if (localPort === undefined || remotePort === undefined) return 0;
  const port = (number: number) => number.toString(16).toUpperCase().padStart(4, "0");
  const line = new RegExp(`:${port(localPort)} [0-9A-F]+:${port(remotePort)} [0-9A-F]{2} ([0-9A-F]{8}):`);
  try {
    const table = readFileSync(remoteFamily === "IPv6" ? "/proc/self/net/tcp6" : "/proc/self/net/tcp", "latin1");
    return Number.parseInt(line.exec(table)?.[1] ?? "0", 16);
  } catch {
    return 0;
  }
}
