import { createHmac } from "node:crypto";

/** What a known_hosts file says about one server. Keys are the bytes that the server sends. */
export interface KnownKeys {
  readonly trusted: readonly Buffer[];
  readonly revoked: readonly Buffer[];
}

/**
 * The lines of sshd(8)'s SSH_KNOWN_HOSTS FILE FORMAT that are about this server: names, patterns, hashed names, `[host]:port`, and
 * `@revoked`, which is about its key wherever it appears. `@cert-authority` is passed over: no certificates are asked for.
 */
export function knownKeys(text: string, host: string, port: number): KnownKeys {
  const name = port === 22 ? host.toLowerCase() : `[${host.toLowerCase()}]:${port}`;
  const trusted: Buffer[] = [];
  const revoked: Buffer[] = [];
  for (const line of text.split(/\r?\n/)) {
    const fields = line.trim().split(/[ \t]+/);
    const marker = fields[0]?.startsWith("@") ? fields.shift() : undefined;
    const [names = "", , key] = fields;
    if (names.startsWith("#") || key === undefined || !isAbout(names, name)) continue;
    if (marker === undefined) trusted.push(Buffer.from(key, "base64"));
    else if (marker === "@revoked") revoked.push(Buffer.from(key, "base64"));
  }
  return { trusted, revoked };
}

function isAbout(names: string, name: string): boolean {
  if (names.startsWith("|")) return isHashOf(names, name);
  let found = false;
  for (const pattern of names.toLowerCase().split(",")) {
    if (pattern.startsWith("!")) {
      if (matches(pattern.slice(1), name)) return false;
    } else found ||= matches(pattern, name);
  }
  return found;
}

/** `|1|salt|hash`, as `HashKnownHosts yes` writes it. */
function isHashOf(hashed: string, name: string): boolean {
  const [, version, salt, hash] = hashed.split("|");
  if (version !== "1" || salt === undefined || hash === undefined) return false;
  return createHmac("sha1", Buffer.from(salt, "base64")).update(name).digest("base64") === hash;
}

function matches(pattern: string, name: string): boolean {
  const source = pattern
    .replaceAll(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`, "s").test(name);
}
