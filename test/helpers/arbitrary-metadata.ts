import fc from "fast-check";
import {
  type BackupId,
  type BackupMetadata,
  CATEGORIES,
  COMPRESSION_ALGORITHMS,
  type LineageMember,
  MODES,
  type SourceMetadata,
  STATUSES,
} from "../../src/domain/backup.ts";
import { artifactName, backupDirectory } from "../../src/domain/object-names.ts";
import { MAX_PACK_BYTES } from "../../src/format/block.ts";
import { backupId } from "../domain/builders.ts";

const text = fc.string({ unit: "binary" });
const name = fc.stringMatching(/^[a-z0-9][a-z0-9_-]{0,63}$/);
const count = fc.oneof(fc.nat(), fc.maxSafeNat());
const seconds = fc.nat().map((milliseconds) => milliseconds / 1000);
const hex = (digits: number) => fc.stringMatching(new RegExp(`^[0-9a-f]{${digits}}$`));
const checksum = hex(64).map((digits) => `sha256:${digits}`);
const instant = fc
  .date({ min: new Date("1970-01-01T00:00:00Z"), max: new Date("9999-12-31T23:59:59Z"), noInvalidDate: true })
  .map((date) => date.toISOString());
/** No engine counts or reports a `__proto__`: zod leaves such a member out, of what the mac has proven with it. */
const label = text.filter((given) => given !== "__proto__");
const counts = fc.dictionary(label, count, { maxKeys: 3 });
const texts = fc.array(text, { maxLength: 3 });
const algorithm = fc.constantFrom(...COMPRESSION_ALGORITHMS);

const source: fc.Arbitrary<SourceMetadata> = fc
  .record({
    facts: fc.record({
      ...{ name, engine: name, kind: name, component: name },
      status: fc.constantFrom("completed", "completed_with_errors", "failed"),
      ...{ size: count, new_size: count, stored_size: count, counts, duration_seconds: seconds },
      versions: fc.dictionary(label, text, { maxKeys: 3 }),
      ...{ unreadable: count, warnings: texts },
    }),
    more: fc.record(
      { category: text, error: fc.record({ code: text, message: text }), narrowed: fc.constant(true) },
      { requiredKeys: [] },
    ),
    artifacts: fc.option(fc.record({ compression: algorithm, encrypted: fc.boolean(), id: hex(32) })),
    packs: fc.array(fc.nat(MAX_PACK_BYTES), { maxLength: 3 }),
  })
  .map(({ facts, more, artifacts, packs }) => {
    if (artifacts === null) return { ...facts, ...more };
    const stored = (part: "data" | "index" | "root") => ({
      artifact_id: artifacts.id,
      name: artifactName({ ...artifacts, source: facts.name, kind: facts.kind, part }),
      packs,
    });
    return { ...facts, ...more, data: stored("data"), index: stored("index"), root: stored("root") };
  });

/** As many as a mode has, this backup last; ids by number. */
function lineageOf(mode: BackupMetadata["mode"], ancestors: number): readonly BackupId[] {
  const length = { full: 1, differential: 2, incremental: ancestors + 1 }[mode];
  return Array.from({ length }, (_, i) => backupId(i + 1));
}

const facts = fc.record({
  version: fc.constant(1 as const),
  ...{
    repository_id: fc.uuid(),
    type: name,
    mode: fc.constantFrom(...MODES),
    category: fc.constantFrom(...CATEGORIES),
  },
  ...{ timestamp: instant, completed_at: instant, duration_seconds: seconds, size: count, compressed_size: count },
  ...{
    stored_size: count,
    encrypted: fc.boolean(),
    compressed: fc.boolean(),
    checksum,
    status: fc.constantFrom(...STATUSES),
  },
  compression: fc.option(fc.record({ algorithm, level: fc.integer({ min: -7, max: 22 }) })),
  ...{ created_by: text, host: text, software_version: text, tags: texts, description: fc.option(text) },
  ...{ retention_until: fc.option(instant), previous_id: fc.option(fc.nat().map(backupId)) },
  components: fc.dictionary(name, fc.record({ size: count, stored_size: count, sources: fc.array(name), counts })),
  sources: fc.uniqueArray(source, { selector: (one) => one.name, maxLength: 4 }),
  objects: fc.record({ count, bytes: count }),
  ...{ verified: fc.constantFrom("none", "blocks", "full"), warnings: texts },
});

/** Whatever metadata a release may write. */
export const anyMetadata: fc.Arbitrary<BackupMetadata> = fc
  .record({
    facts,
    keyId: fc.option(hex(32)),
    ancestors: fc.integer({ min: 1, max: 4 }),
    paths: fc.array(instant, { minLength: 5, maxLength: 5 }),
    sum: checksum,
  })
  .map(({ facts: given, keyId, ancestors, paths, sum }) => {
    const ids = lineageOf(given.mode, ancestors);
    const id = ids.at(-1) ?? backupId(1);
    const lineage = ids.map((member, i): LineageMember => {
      const isSelf = member === id;
      const timestamp = isSelf ? given.timestamp : (paths[i] ?? given.timestamp);
      const path = backupDirectory({ ...given, ...(i === 0 && !isSelf && { mode: "full" }), timestamp, id: member });
      return isSelf ? { id: member, path } : { id: member, path, checksum: sum };
    });
    const encrypted = given.encrypted && keyId !== null;
    return {
      ...given,
      ...{ id, lineage, encrypted, key_id: keyId, parent_id: ids.at(-2) ?? null },
      encryption_algorithm: encrypted ? "AES-256-GCM" : null,
      storage_path: backupDirectory({ ...given, id }),
    };
  });
