import { join } from "node:path";
import type { Certificate } from "./certificate.ts";
import { freePort } from "./free-port.ts";
import { NetworkServer } from "./network-server.ts";

export const AZURITE_PROGRAM = join(import.meta.dirname, "azurite/node_modules/azurite/dist/src/blob/main.js");

/** The one that Microsoft has published for its emulators. */
const ACCOUNT = "devstoreaccount1";
const KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw==";

export interface Azurite {
  readonly account: string;
  readonly accountKey: string;
  /** With the account in its path. */
  readonly endpoint: string;
  readonly port: number;
  /** At once; what was acknowledged lies in the folder that it was started with. */
  stop(): Promise<void>;
}

export interface AzuriteOptions {
  readonly port?: number;
  /** Speaks TLS with it. */
  readonly certificate?: Certificate;
}

/** Starts Microsoft's own emulator of Azure Blob Storage over `dir`. Ask `requireOrSkip("azurite")` first. */
export async function startAzurite(dir: string, { certificate, ...options }: AzuriteOptions = {}): Promise<Azurite> {
  const port = options.port ?? (await freePort());
  const tls = certificate === undefined ? [] : ["--cert", certificate.certificateFile, "--key", certificate.keyFile];
  const command = [
    ...[process.execPath, AZURITE_PROGRAM, "--silent", "--disableTelemetry"],
    // The SDK speaks a newer version of the protocol than this Azurite knows; what we use of it is the same.
    "--skipApiVersionCheck",
    ...["--blobHost", "127.0.0.1", "--blobPort", String(port), "--location", join(dir, "azurite"), ...tls],
  ];
  const server = await NetworkServer.start(command, { port, log: join(dir, "azurite.log") });
  const endpoint = `${certificate === undefined ? "http" : "https"}://127.0.0.1:${port}/${ACCOUNT}`;
  return { account: ACCOUNT, accountKey: KEY, endpoint, port, stop: () => server.kill() };
}
