import { isIP } from "node:net";
import * as path from "node:path/posix";
import { Client } from "basic-ftp";
import { BackupctlError, messageOf } from "../../errors.ts";
import { readCertificates } from "../../platform/certificates.ts";
import { asLoginError } from "./errors.ts";
import { parseListing } from "./listing.ts";
import type { FtpOptions } from "./options.ts";
import { portOf } from "./place.ts";

/** A login is some fifteen round trips, each of which may take its time. */
const STALLS_FOR_A_LOGIN = 5;

export interface Login {
  readonly client: Client;
  /** The folder of the storage, absolute. */
  readonly root: string;
}

/** Connects, checks the certificate, and only then logs in. Binary mode is set for good. @throws see `asLoginError`. */
export async function logIn(
  options: FtpOptions,
  { storage, stallTimeoutMs }: { readonly storage: string; readonly stallTimeoutMs: number },
): Promise<Login> {
  const port = portOf(options);
  const client = new Client(stallTimeoutMs);
  client.parseList = parseListing;
  const secureOptions = {
    minVersion: "TLSv1.2" as const,
    ...serverName(options.host),
    ...(await authority(options, storage)),
  };
  // The library watches each answer, but not the handshake of TLS.
  const limitMs = STALLS_FOR_A_LOGIN * stallTimeoutMs;
  const tooLong = new Error(`no login within ${limitMs / 1000} s`);
  const { promise: overdue, reject } = Promise.withResolvers<never>();
  const timer = setTimeout(() => reject(tooLong), limitMs);
  try {
    return await Promise.race([overdue, access(client, options, { port, secureOptions })]);
  } catch (error) {
    const encrypted = options.tls === "none" || client.ftp.hasTLS;
    client.close();
    throw asLoginError(error, { storage, server: `${options.host}:${port}`, user: options.user, encrypted });
  } finally {
    clearTimeout(timer);
  }
}

async function access(
  client: Client,
  { host, user, password, tls, path: place }: FtpOptions,
  connection: { readonly port: number; readonly secureOptions: object },
): Promise<Login> {
  const secure = { explicit: true, implicit: "implicit", none: false } as const;
  await client.access({ host, user, password, secure: secure[tls], ...connection });
  return { client, root: path.resolve(await client.pwd(), place.replace(/^~\//, "./")) };
}

function serverName(host: string): { servername?: string } {
  return isIP(host) === 0 ? { servername: host } : {};
}

async function authority({ ca_file }: FtpOptions, storage: string): Promise<{ ca?: string }> {
  if (ca_file === undefined) return {};
  try {
    return { ca: await readCertificates(ca_file) };
  } catch (error) {
    throw new BackupctlError("CONFIG_INVALID", `storage "${storage}": ca_file: ${messageOf(error)}`, {
      hint: "Give a PEM file that this user can read.",
      cause: error,
    });
  }
}
