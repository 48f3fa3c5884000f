import { createHash } from "node:crypto";
import { noSuchBucket, noSuchObject, Refusal } from "./answers.ts";

export interface StoredBlob {
  readonly bytes: Buffer;
  readonly resource: Readonly<Record<string, string>>;
}

const DEFAULT_PAGE_SIZE = 1000;

/** Buckets and objects in memory, with the rules of the JSON API for generations, hashes and pages. */
export class Objects {
  readonly #buckets = new Map<string, Map<string, StoredBlob>>();
  readonly #settings = new Map<string, object>();
  #generation = 1_700_000_000_000_000;

  addBucket(name: string, settings: object = {}): void {
    if (this.#buckets.has(name)) {
      throw new Refusal(
        409,
        "conflict",
        "Your previous request to create the named bucket succeeded and you already own it.",
      );
    }
    this.#buckets.set(name, new Map());
    this.#settings.set(name, settings);
  }

  /** The bucket's own resource: https://cloud.google.com/storage/docs/json_api/v1/buckets#resource */
  describe(name: string): object {
    this.bucket(name);
    return { kind: "storage#bucket", name, ...this.#settings.get(name) };
  }

  bucket(name: string): Map<string, StoredBlob> {
    const found = this.#buckets.get(name);
    if (found === undefined) throw noSuchBucket();
    return found;
  }

  find(bucket: string, name: string): StoredBlob {
    const found = this.bucket(bucket).get(name);
    if (found === undefined) throw noSuchObject(bucket, name);
    return found;
  }

  insert(bucket: string, metadata: Readonly<Record<string, string>>, bytes: Buffer, query: URLSearchParams, now: Date) {
    const objects = this.bucket(bucket);
    const name = query.get("name") ?? metadata.name;
    if (name === undefined || name === "") throw new Refusal(400, "required", "Required parameter: name");
    const [md5Hash, crc32c] = [createHash("md5").update(bytes).digest("base64"), crc32cOf(bytes)];
    requireHash("MD5", metadata.md5Hash, md5Hash);
    requireHash("CRC32C", metadata.crc32c, crc32c);
    const wanted = query.get("ifGenerationMatch");
    if (wanted !== null && wanted !== (objects.get(name)?.resource.generation ?? "0")) {
      throw new Refusal(412, "conditionNotMet", "At least one of the pre-conditions you specified did not hold.");
    }
    this.#generation += 1;
    const kms = query.get("kmsKeyName");
    const resource = {
      kind: "storage#object",
      id: `${bucket}/${name}/${this.#generation}`,
      name,
      bucket,
      generation: String(this.#generation),
      metageneration: "1",
      contentType: metadata.contentType ?? "application/octet-stream",
      storageClass: metadata.storageClass ?? "STANDARD",
      size: String(bytes.length),
      md5Hash,
      crc32c,
      timeCreated: now.toISOString(),
      updated: now.toISOString(),
      ...(kms === null ? {} : { kmsKeyName: `${kms}/cryptoKeyVersions/1` }),
    };
    objects.set(name, { bytes, resource });
    return resource;
  }

  page(bucket: string, query: URLSearchParams) {
    const prefix = query.get("prefix") ?? "";
    const after = Buffer.from(query.get("pageToken") ?? "", "base64url").toString("utf8");
    const size = Math.min(Number(query.get("maxResults") ?? DEFAULT_PAGE_SIZE), DEFAULT_PAGE_SIZE);
    const names = [...this.bucket(bucket).keys()].filter((name) => name.startsWith(prefix) && name > after).sort();
    const items = names.slice(0, size).map((name) => this.find(bucket, name).resource);
    const last = names[size - 1] ?? "";
    return {
      kind: "storage#objects",
      // A page without objects has no list of them at all.
      ...(items.length > 0 ? { items } : {}),
      ...(names.length > size ? { nextPageToken: Buffer.from(last).toString("base64url") } : {}),
    };
  }

  /** As somebody does it with Object Retention Lock. */
  retain(bucket: string, name: string, until: Date): void {
    const { bytes, resource } = this.find(bucket, name);
    this.bucket(bucket).set(name, { bytes, resource: { ...resource, retentionExpirationTime: until.toISOString() } });
  }

  remove(bucket: string, name: string, now: Date): void {
    const { retentionExpirationTime: until } = this.find(bucket, name).resource;
    if (until !== undefined && new Date(until) > now) {
      const what = `Object '${bucket}/${name}' is subject to bucket's retention policy or object retention and cannot be deleted`;
      throw new Refusal(403, "retentionPolicyNotMet", `${what} until ${until}`);
    }
    this.bucket(bucket).delete(name);
  }
}

function requireHash(kind: string, given: string | undefined, actual: string): void {
  if (given === undefined || given === actual) return;
  throw new Refusal(
    400,
    "invalid",
    `Provided ${kind} hash "${given}" doesn't match calculated ${kind} hash "${actual}".`,
  );
}

const TABLE = Uint32Array.from({ length: 256 }, (_, byte) => {
  let value = byte;
  for (let bit = 0; bit < 8; bit++) value = value & 1 ? (value >>> 1) ^ 0x82f63b78 : value >>> 1;
  return value;
});

/** CRC-32C, big-endian, in base64. */
function crc32cOf(bytes: Buffer): string {
  let crc = 0xffffffff;
  // An iterator would take a second for a pack, in which the fake answers nobody.
  for (let at = 0; at < bytes.length; at++) crc = (TABLE[(crc ^ (bytes[at] ?? 0)) & 255] ?? 0) ^ (crc >>> 8);
  const result = Buffer.alloc(4);
  result.writeUInt32BE((crc ^ 0xffffffff) >>> 0);
  return result.toString("base64");
}
