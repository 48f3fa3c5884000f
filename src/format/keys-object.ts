import { randomBytes } from "node:crypto";
import { z } from "zod";
import type { BackupId } from "../domain/backup.ts";
import { backupIdSchema, describeIssues } from "../domain/metadata-schema.ts";
import { numberedName, parseNumberedName } from "../domain/object-names.ts";
import { BackupctlError, isBackupctlError, messageOf } from "../errors.ts";
import { keyId, openDataKey, sealDataKey } from "./data-key.ts";
import { OpeningEffort } from "./opening-effort.ts";
import { parseJsonObject, refuseOtherVersions, requireReadableSize } from "./parse-json.ts";

const wrapSchema = z.strictObject({
  provider: z.string().min(1).max(64),
  name: z.string().min(1).max(256),
  parameters: z.record(z.string().max(64), z.union([z.string().max(65_536), z.number()])),
  nonce: z.base64(),
  ciphertext: z.base64(),
});

const keysSchema = z.strictObject({
  version: z.literal(1),
  backup_id: backupIdSchema,
  key_id: z.string().regex(/^[0-9a-f]{32}$/, "not a key id (32 hex digits)"),
  wraps: z.array(wrapSchema).min(1).max(256),
});

type KeysContent = z.infer<typeof keysSchema>;
type KeyWrap = z.infer<typeof wrapSchema>;

interface ReadableKeys {
  readonly name: string;
  readonly content: KeysContent;
}

/**
 * Keys objects are not authenticated, and each try may be a derivation of seconds: whoever can write to the storage must not keep
 * a reader busy for hours. A backup has a wrap for each key; keys of one kind are few.
 */
const MOST_FAILED_TRIES = 24;

/** What the format needs of a key provider (src/keys/key-provider.ts says what each member guarantees). */
export interface WrappingKey {
  readonly provider: string;
  readonly name: string;
  /** Where it derives secrets, each from parameters of its own: the salt that `seal` uses. */
  readonly salt?: Buffer;
  seal(): Promise<{ readonly secret: Buffer; readonly parameters: Readonly<Record<string, string | number>> }>;
  open(parameters: Readonly<Record<string, string | number>>): Promise<Buffer | undefined>;
}

/** A named object of a backup's directory with its bytes. */
export interface NamedBytes {
  readonly name: string;
  readonly bytes: Uint8Array;
}

/** Wraps the data key once for every provider. The name is unique to this writer, so two hosts never overwrite each other. */
export async function buildKeysObject(request: {
  readonly n: number;
  readonly backupId: BackupId;
  readonly dataKey: Buffer;
  readonly providers: readonly WrappingKey[];
}): Promise<{ readonly name: string; readonly bytes: Buffer; readonly keyId: string }> {
  const { backupId, dataKey } = request;
  const id = keyId(dataKey, backupId);
  const wraps = await Promise.all(
    request.providers.map(async (key) => {
      const { secret, parameters } = await key.seal();
      const wrap = sealDataKey({ secret, dataKey, backupId, provider: key.provider, keyName: key.name, keyId: id });
      return { provider: key.provider, name: key.name, parameters, ...wrap };
    }),
  );
  const content = keysSchema.safeParse({ version: 1, backup_id: backupId, key_id: id, wraps });
  const hint = "Configure fewer keys, with shorter names, under encryption.keys.";
  if (!content.success) {
    const why = `the keys of backup ${backupId} can't be stored so that they could be read again`;
    throw new BackupctlError("BACKUP_FAILED", `${why}: ${describeIssues(content.error)}`, { hint });
  }
  const name = numberedName({ family: "keys", n: request.n, writer: randomBytes(4).toString("hex") });
  const bytes = Buffer.from(`${JSON.stringify(content.data, null, 2)}\n`);
  return { name, bytes: requireReadableSize(bytes, `${name} of backup ${backupId}`, { hint }), keyId: id };
}

export interface OpenedKey {
  readonly dataKey: Buffer;
  /** The keys object and the key that opened it. */
  readonly name: string;
  readonly keyName: string;
  /** Keys objects that are malformed or belong elsewhere, one line each. */
  readonly problems: readonly string[];
}

/**
 * The data key of a backup: the keys objects are tried from the highest n down, in each every wrap that a configured provider
 * can open, and the first key that has the wanted key id is taken.
 * @param wanted without a key id any of this backup's will do
 * @param effort shared by all backups that one run opens
 * @throws `ENCRYPTION_KEY_NOT_FOUND` naming the keys that the backup wants and those configured; `BACKUP_CORRUPTED` if there
 * is no keys object, or none that is well-formed and of this backup, or too many wraps that a configured key should open and does not.
 */
export async function openKeysObjects(
  objects: readonly NamedBytes[],
  wanted: { readonly backupId: BackupId; readonly keyId: string | undefined },
  providers: readonly WrappingKey[],
  effort: OpeningEffort = new OpeningEffort(),
): Promise<OpenedKey> {
  const problems: string[] = [];
  const readable: ReadableKeys[] = [];
  for (const object of highestFirst(objects)) {
    const content = readKeysObject(object, wanted);
    if (typeof content === "string") problems.push(content);
    else readable.push({ name: object.name, content });
  }
  if (readable.length === 0) throw noKeysObject(wanted.backupId, problems);
  const failures: string[] = [];
  const tries = { failed: 0 };
  for (const { name, content } of readable) {
    for (const wrap of content.wraps) {
      const opened = await openWrap(wrap, content, providers, { failures, tries, effort });
      if (opened !== undefined) return { ...opened, name, problems };
    }
  }
  throw noKeyFits(wanted.backupId, readable, providers, failures);
}

/** What is wrong with a keys object, as far as that can be told without any key; `undefined` if nothing is. */
export function keysObjectDefect(
  object: NamedBytes,
  backup: { readonly backupId: BackupId; readonly keyId: string | undefined },
): string | undefined {
  const content = readKeysObject(object, backup);
  return typeof content === "string" ? content : undefined;
}

/** A wrap that a key of the same kind and name does not open: it is damaged, or that key is another one now. */
export interface LockedWrap {
  readonly object: string;
  readonly keyName: string;
  readonly provider: string;
}

/** Tries each key on all that was sealed for it. What can't be read says nothing of the wrap, nor does a wrap whose key is not here. */
export async function lockedWraps(
  objects: readonly NamedBytes[],
  wanted: { readonly backupId: BackupId; readonly keyId: string },
  providers: readonly WrappingKey[],
  effort: OpeningEffort = new OpeningEffort(),
): Promise<readonly LockedWrap[]> {
  const locked: LockedWrap[] = [];
  for (const object of objects) {
    const content = readKeysObject(object, wanted);
    if (typeof content === "string") continue;
    for (const wrap of content.wraps) {
      const key = providers.find(({ provider, name }) => provider === wrap.provider && name === wrap.name);
      if (key !== undefined && effort.allows(key, wrap.parameters) && (await isLocked(wrap, content, key, effort)))
        locked.push({ object: object.name, keyName: key.name, provider: key.provider });
      if (locked.length === MOST_FAILED_TRIES) return locked;
    }
  }
  return locked;
}

async function isLocked(
  wrap: KeyWrap,
  content: KeysContent,
  key: WrappingKey,
  effort: OpeningEffort,
): Promise<boolean> {
  try {
    const secret = await key.open(wrap.parameters);
    if (secret === undefined) return false;
    const isOpen = unwrap(wrap, content, secret) !== undefined;
    effort.note(key, wrap.parameters, isOpen);
    return !isOpen;
  } catch (error) {
    if (isBackupctlError(error, "BACKUP_CORRUPTED")) return true;
    if (isBackupctlError(error, "ENCRYPTION_KEY_NOT_FOUND")) return false;
    throw error;
  }
}

function highestFirst(objects: readonly NamedBytes[]): readonly NamedBytes[] {
  const numberOf = (object: NamedBytes): number => parseNumberedName(object.name)?.n ?? -1;
  return [...objects].sort((left, right) => numberOf(right) - numberOf(left) || (left.name < right.name ? -1 : 1));
}

/** The content, or what is wrong with it. */
function readKeysObject(
  object: NamedBytes,
  { backupId, keyId }: { readonly backupId: BackupId; readonly keyId: string | undefined },
): KeysContent | string {
  try {
    const raw = parseJsonObject(object.bytes, object.name);
    refuseOtherVersions(raw, object.name);
    const parsed = keysSchema.safeParse(raw);
    if (!parsed.success) return `${object.name} is damaged: ${describeIssues(parsed.error)}`;
    if (parsed.data.backup_id !== backupId) return `${object.name} belongs to backup ${parsed.data.backup_id}`;
    if (keyId !== undefined && parsed.data.key_id !== keyId) return `${object.name} belongs to another data key`;
    return parsed.data;
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    return error.message;
  }
}

interface Opening {
  readonly failures: string[];
  readonly tries: { failed: number };
  readonly effort: OpeningEffort;
}

async function openWrap(
  wrap: KeyWrap,
  content: KeysContent,
  providers: readonly WrappingKey[],
  { failures, tries, effort }: Opening,
): Promise<{ readonly dataKey: Buffer; readonly keyName: string } | undefined> {
  // A key may have been renamed in the config, so every one of the same kind is tried; the one of the same name first.
  const candidates = providers
    .filter((key) => key.provider === wrap.provider)
    .sort((left, right) => Number(right.name === wrap.name) - Number(left.name === wrap.name));
  for (const key of candidates) {
    if (!effort.allows(key, wrap.parameters)) {
      failures.push(`key ${key.name} (${key.provider}) was not tried: derived for too many others it opened nothing`);
      continue;
    }
    const secret = await secretOf(key, wrap, failures);
    if (secret === undefined) continue;
    const dataKey = unwrap(wrap, content, secret);
    effort.note(key, wrap.parameters, dataKey !== undefined);
    if (dataKey !== undefined) return { dataKey, keyName: key.name };
    failures.push(`key ${key.name} (${key.provider}) does not open the wrap of ${wrap.name}`);
    tries.failed += 1;
    if (tries.failed === MOST_FAILED_TRIES) throw tooManyWraps(content.backup_id);
  }
  return undefined;
}

function unwrap(
  { provider, name, nonce, ciphertext }: KeyWrap,
  content: KeysContent,
  secret: Buffer,
): Buffer | undefined {
  const { backup_id: backupId, key_id: keyId } = content;
  return openDataKey({ secret, backupId, provider, keyName: name, keyId, nonce, ciphertext });
}

/** One key that can't be read must not keep another from being tried: what went wrong is told if none opens. */
async function secretOf(key: WrappingKey, wrap: KeyWrap, failures: string[]): Promise<Buffer | undefined> {
  try {
    return await key.open(wrap.parameters);
  } catch (error) {
    if (!isBackupctlError(error)) throw error;
    failures.push(`key ${key.name} (${key.provider}): ${messageOf(error)}`);
    return undefined;
  }
}

function tooManyWraps(backupId: BackupId): BackupctlError {
  const what = `${MOST_FAILED_TRIES} times a configured key did not open what its keys objects say is sealed for it`;
  return new BackupctlError("BACKUP_CORRUPTED", `backup ${backupId} can't be opened: ${what}`, {
    hint: "They are damaged or were tampered with. Read it from another storage with --storage NAME, if it has a copy there.",
  });
}

function noKeysObject(backupId: BackupId, problems: readonly string[]): BackupctlError {
  const why = problems.length === 0 ? "it has no keys object" : problems.join("; ");
  return new BackupctlError("BACKUP_CORRUPTED", `backup ${backupId} can't be opened: ${why}`, {
    hint: "Read it from another storage with --storage NAME, if it has a copy there.",
  });
}

function noKeyFits(
  backupId: BackupId,
  readable: readonly ReadableKeys[],
  providers: readonly WrappingKey[],
  failures: readonly string[],
): BackupctlError {
  const listed = (keys: readonly { readonly provider: string; readonly name: string }[]): string =>
    [...new Set(keys.map((key) => `${key.name} (${key.provider})`))].join(", ") || "none";
  const objects = readable.map(({ name }) => name).join(", ");
  const wraps = readable.flatMap(({ content }) => content.wraps);
  const details = failures.length === 0 ? "" : `; ${[...new Set(failures)].join("; ")}`;
  return new BackupctlError(
    "ENCRYPTION_KEY_NOT_FOUND",
    `no configured key opens backup ${backupId}: ${objects} is sealed for ${listed(wraps)}, configured: ${listed(providers)}${details}`,
    {
      hint: "Configure one of the keys that it was sealed for under `encryption.keys`; the runbook in recovery/README.txt names them.",
    },
  );
}
