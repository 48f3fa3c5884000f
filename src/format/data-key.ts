import { createCipheriv, createDecipheriv, hkdfSync, randomBytes } from "node:crypto";
import type { BackupId } from "../domain/backup.ts";

/**
 * The keys of a backup (FORMAT, "Keys"). All derivations are HKDF-SHA256. Ids enter as their raw bytes: backup and artifact
 * ids 16, key ids 16.
 */
const KEY_BYTES = 32;
const ID_BYTES = 16;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** 32 random bytes: every key of one backup is derived from them. */
export function makeDataKey(): Buffer {
  return randomBytes(KEY_BYTES);
}

/** 16 random bytes; metadata writes them as 32 hex digits. */
export function makeArtifactId(): Buffer {
  return randomBytes(ID_BYTES);
}

/** The 16 bytes of a UUID. */
export function idBytes(backupId: BackupId): Buffer {
  return Buffer.from(backupId.replaceAll("-", ""), "hex");
}

/**
 * Commits all wraps of a backup to one data key: the first 16 bytes of HKDF(data key, salt = backup id,
 * info "backupctl/1/key-id"), as 32 lowercase hex digits.
 */
export function keyId(dataKey: Buffer, backupId: BackupId): string {
  return derive(dataKey, idBytes(backupId), Buffer.from("backupctl/1/key-id"), ID_BYTES).toString("hex");
}

/** HKDF(data key, salt = artifact id, info "backupctl/1/artifact" ‖ backup id): 32 bytes. */
export function artifactKey(dataKey: Buffer, artifactId: Buffer, backupId: BackupId): Buffer {
  if (artifactId.length !== ID_BYTES) throw new RangeError(`an artifact id has ${ID_BYTES} bytes`);
  return derive(
    dataKey,
    artifactId,
    Buffer.concat([Buffer.from("backupctl/1/artifact"), idBytes(backupId)]),
    KEY_BYTES,
  );
}

/** HKDF(data key, salt = backup id, info "backupctl/1/metadata"): 32 bytes, the key of metadata's and notes' macs. */
export function metadataKey(dataKey: Buffer, backupId: BackupId): Buffer {
  return derive(dataKey, idBytes(backupId), Buffer.from("backupctl/1/metadata"), KEY_BYTES);
}

interface WrapContext {
  /** 32 bytes from a key provider. */
  readonly secret: Buffer;
  readonly backupId: BackupId;
  readonly provider: string;
  readonly keyName: string;
  /** 32 hex digits. */
  readonly keyId: string;
}

/** Both base64; `ciphertext` ends with the 16-byte tag. */
interface Wrap {
  readonly nonce: string;
  readonly ciphertext: string;
}

/** AES-256-GCM under HKDF(secret, salt = backup id, info "backupctl/1/wrap"), with a random 12-byte nonce. */
export function sealDataKey(context: WrapContext & { readonly dataKey: Buffer }): Wrap {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv("aes-256-gcm", wrapKey(context), nonce, { authTagLength: TAG_BYTES });
  cipher.setAAD(additionalData(context));
  const sealed = Buffer.concat([cipher.update(context.dataKey), cipher.final(), cipher.getAuthTag()]);
  return { nonce: nonce.toString("base64"), ciphertext: sealed.toString("base64") };
}

/** The data key, or `undefined` if this secret does not open the wrap or what it holds is not the key of `keyId`. */
export function openDataKey(context: WrapContext & Wrap): Buffer | undefined {
  const nonce = Buffer.from(context.nonce, "base64");
  const sealed = Buffer.from(context.ciphertext, "base64");
  if (nonce.length !== NONCE_BYTES || sealed.length !== KEY_BYTES + TAG_BYTES) return undefined;
  const decipher = createDecipheriv("aes-256-gcm", wrapKey(context), nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(additionalData(context));
  decipher.setAuthTag(sealed.subarray(KEY_BYTES));
  const dataKey = decipher.update(sealed.subarray(0, KEY_BYTES));
  try {
    decipher.final();
  } catch {
    // The only failure of final() is a tag that does not fit: another secret, or a changed wrap.
    return undefined;
  }
  return keyId(dataKey, context.backupId) === context.keyId ? dataKey : undefined;
}

function wrapKey(context: WrapContext): Buffer {
  return derive(context.secret, idBytes(context.backupId), Buffer.from("backupctl/1/wrap"), KEY_BYTES);
}

/**
 * backup id (16) ‖ provider ‖ key name ‖ key id (16). Each text is preceded by its length in UTF-8 bytes (2, big endian), or else
 * provider "a" with name "bc" would equal "ab" with "c".
 */
function additionalData(context: WrapContext): Buffer {
  return Buffer.concat([
    idBytes(context.backupId),
    lengthPrefixed(context.provider),
    lengthPrefixed(context.keyName),
    Buffer.from(context.keyId, "hex"),
  ]);
}

function lengthPrefixed(text: string): Buffer {
  const bytes = Buffer.from(text, "utf8");
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return Buffer.concat([length, bytes]);
}

function derive(secret: Buffer, salt: Buffer, info: Buffer, length: number): Buffer {
  return Buffer.from(hkdfSync("sha256", secret, salt, info, length));
}
