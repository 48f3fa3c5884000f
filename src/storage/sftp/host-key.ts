import { createHash } from "node:crypto";
import { homedir } from "node:os";
import * as path from "node:path";
import { BackupctlError, messageOf } from "../../errors.ts";
import { errnoOf, readOrdinaryFile } from "../../platform/files.ts";
import { type KnownKeys, knownKeys } from "./known-hosts.ts";
import type { SftpOptions } from "./options.ts";

/** Of these, the server uses the first that it has. SHA-1 signatures (`ssh-rsa`) are not among them. */
const ALGORITHMS = [
  "ssh-ed25519",
  "ecdsa-sha2-nistp256",
  "ecdsa-sha2-nistp384",
  "ecdsa-sha2-nistp521",
  "rsa-sha2-512",
  "rsa-sha2-256",
] as const;

export type HostKeyAlgorithm = (typeof ALGORITHMS)[number];

export interface HostKeyCheck {
  /** What to ask the server for: first the kinds of keys that are known. */
  readonly algorithms: readonly HostKeyAlgorithm[];
  /** Why this key is not to be trusted; undefined if it is. */
  readonly refusal: (key: Buffer) => BackupctlError | undefined;
}

/** How the server's key is judged: by the pinned fingerprint, else by a known_hosts file. There is no third way. */
export async function hostKeyCheck(options: SftpOptions, storage: string): Promise<HostKeyCheck> {
  const server = `${options.host}:${options.port}`;
  if (options.host_key !== undefined) {
    const pinned = options.host_key.replace(/=$/, "");
    return { algorithms: ALGORITHMS, refusal: (key) => refusalByPin(key, pinned, { storage, server }) };
  }
  const file = options.known_hosts ?? path.join(homedir(), ".ssh", "known_hosts");
  const known = knownKeys(await readKnownHosts(file, options.known_hosts !== undefined), options.host, options.port);
  const kinds = new Set(known.trusted.map(kindOf));
  return {
    algorithms: ALGORITHMS.toSorted(
      (a, b) => Number(kinds.has(kindOfAlgorithm(b))) - Number(kinds.has(kindOfAlgorithm(a))),
    ),
    refusal: (key) => refusalByFile(key, known, { storage, server, file }),
  };
}

async function readKnownHosts(file: string, mustExist: boolean): Promise<string> {
  try {
    return (await readOrdinaryFile(file)).toString();
  } catch (error) {
    if (errnoOf(error) === "ENOENT" && !mustExist) return "";
    throw new BackupctlError(
      "CONFIG_INVALID",
      `known_hosts: ${file} can't be read (${errnoOf(error) ?? messageOf(error)})`,
      {
        hint: "Correct `known_hosts`, or pin the server's key with `host_key`.",
        cause: error,
      },
    );
  }
}

function refusalByPin(
  key: Buffer,
  pinned: string,
  { storage, server }: { readonly storage: string; readonly server: string },
): BackupctlError | undefined {
  const found = fingerprint(key);
  if (found === pinned) return undefined;
  return refused(`storage "${storage}": the host key of ${server} is not the one of \`host_key\``, {
    key,
    advice: `If it was changed on purpose, set \`host_key: ${found}\`; if not, somebody else may be answering.`,
  });
}

function refusalByFile(
  key: Buffer,
  known: KnownKeys,
  { storage, server, file }: { readonly storage: string; readonly server: string; readonly file: string },
): BackupctlError | undefined {
  const isIt = (other: Buffer): boolean => other.equals(key);
  if (known.revoked.some(isIt)) {
    return refused(`storage "${storage}": the host key of ${server} is marked as revoked in ${file}`, {
      key,
      advice: "Its owner must give the server another key.",
    });
  }
  if (known.trusted.some(isIt)) return undefined;
  if (known.trusted.some((other) => kindOf(other) === kindOf(key))) {
    return refused(`storage "${storage}": the host key of ${server} is another one than in ${file}`, {
      key,
      advice: "If it was changed on purpose, correct that file; if not, somebody else may be answering.",
    });
  }
  return refused(`storage "${storage}": the host key of ${server} is not known`, {
    key,
    advice: `If it is the same, set \`host_key: ${fingerprint(key)}\`, or add the key to ${file}.`,
  });
}

function refused(message: string, { key, advice }: { readonly key: Buffer; readonly advice: string }): BackupctlError {
  return new BackupctlError("STORAGE_FAILED", message, {
    hint:
      `It answered with ${kindOf(key)} ${fingerprint(key)}. Compare that with what \`ssh-keygen -lf\` says of ` +
      `/etc/ssh/ssh_host_*_key.pub on the server itself. ${advice}`,
  });
}

/** As `ssh-keygen -lf` prints it. */
function fingerprint(key: Buffer): string {
  return `SHA256:${createHash("sha256").update(key).digest("base64").replace(/=+$/, "")}`;
}

/** The name with which a key's bytes begin, e.g. `ssh-ed25519`; from a file they may be anything. */
function kindOf(key: Buffer): string {
  return key.length < 4 ? "" : key.toString("latin1", 4, 4 + Math.min(key.readUInt32BE(0), 64));
}

function kindOfAlgorithm(algorithm: HostKeyAlgorithm): string {
  return algorithm.startsWith("rsa-") ? "ssh-rsa" : algorithm;
}
