import type { BackupId, BackupMetadata } from "../../domain/backup.ts";
import type { BackupctlError } from "../../errors.ts";
import type { BackupVerification, CheckName, CheckState } from "../operations.ts";

/** The names of the other storages that have a copy of the same backup, as far as is known. */
export interface OtherCopies {
  readonly soundIn: readonly string[];
  readonly damagedIn: readonly string[];
}

/** What a verification has found so far. A check that nobody says anything of was skipped; one failure fails it for good. */
export class Findings {
  readonly issues: string[] = [];
  /** Whose own objects are not as they were written, and whether their metadata could be believed. */
  readonly damagedAncestors = new Map<BackupId, boolean>();
  readonly #states = new Map<CheckName, CheckState>();
  readonly #failedSources = new Set<string>();
  readonly #help = new Set<string>();
  #isDamaged = false;
  #unseen: BackupVerification["unseen"];
  readonly #verifiedSources = new Map<string, { readonly bytes: number; readonly files: number }>();

  get passed(): boolean {
    return this.issues.length === 0;
  }

  /** The check was made, and passed unless it has failed or fails later. */
  made(...checks: readonly CheckName[]): void {
    for (const check of checks) if (!this.#states.has(check)) this.#states.set(check, "passed");
  }

  fail(check: CheckName, issue: string, source?: string): void {
    this.#isDamaged = true;
    this.#note(check, issue, source);
  }

  #note(check: CheckName, issue: string, source: string | undefined): void {
    this.#states.set(check, "failed");
    if (!this.issues.includes(issue)) this.issues.push(issue);
    if (source !== undefined) this.#failedSources.add(source);
  }

  /** What keeps the backup from being looked at is not the backup's fault: what helps is the error's own hint. */
  cannotLook(check: CheckName, error: Pick<BackupctlError, "message" | "hint">, source?: string): void {
    const { message, hint } = error;
    this.#note(check, message, source);
    if (hint !== undefined) this.#help.add(hint);
  }

  /** There is nothing to look at: it need not be there, or can't be had. */
  isUnseen(why: "pending" | "away" | "cold", { message, hint }: Pick<BackupctlError, "message" | "hint">): void {
    this.#unseen = why;
    this.issues.push(message);
    if (hint !== undefined) this.#help.add(hint);
  }

  /** It is whole as far as can be seen, and sealed for other keys than those at hand. */
  isLocked(error: Pick<BackupctlError, "message" | "hint">): void {
    this.#unseen = "locked";
    this.cannotLook("encryption_validation", error);
  }

  get unseen(): BackupVerification["unseen"] {
    return this.#unseen;
  }

  /** All of a source was read and is as it was written. */
  verified(source: string, bytes: number, files: number): void {
    this.#verifiedSources.set(source, { bytes, files });
  }

  hasFailed(source: string): boolean {
    return this.#failedSources.has(source);
  }

  checks(): Readonly<Record<CheckName, CheckState>> {
    const state = (check: CheckName): CheckState => this.#states.get(check) ?? "skipped";
    return {
      checksum_validation: state("checksum_validation"),
      file_integrity: state("file_integrity"),
      encryption_validation: state("encryption_validation"),
      compression_validation: state("compression_validation"),
      metadata_validation: state("metadata_validation"),
      component_completeness: state("component_completeness"),
      restore_comparison: state("restore_comparison"),
    };
  }

  /** Of the sources that were looked at. */
  components(metadata: BackupMetadata, looked: readonly string[]): BackupVerification["components"] {
    const components: Record<string, { status: CheckState; sizeVerified: number; files: number }> = {};
    for (const source of metadata.sources.filter(({ name }) => looked.includes(name))) {
      const done = this.#verifiedSources.get(source.name);
      const found = components[source.component] ?? { status: "skipped", sizeVerified: 0, files: 0 };
      const failed = found.status === "failed" || this.#failedSources.has(source.name);
      const otherwise = done === undefined ? found.status : "passed";
      components[source.component] = {
        status: failed ? "failed" : otherwise,
        sizeVerified: found.sizeVerified + (done?.bytes ?? 0),
        files: found.files + (done?.files ?? 0),
      };
    }
    return components;
  }

  /** What to do now, most helpful first. `reparable` is the storage whose copy may be repaired from the others. */
  recommendations(id: string, others: OtherCopies, reparable: string | undefined): readonly string[] {
    if (!this.#isDamaged) return [...this.#help];
    const short = id.slice(0, 8);
    const isChanged = this.#states.get("metadata_validation") === "failed";
    const repair = `Replace it from another copy: \`backupctl verify ${short} --storage ${reparable} --repair\`.`;
    const join = `Other copies are damaged, too, but what one has lost another may have: \`backupctl verify ${short} --repair\`.`;
    const hasSound = others.soundIn.length > 0;
    const elsewhere = others.soundIn.map(
      (name) => `Another copy is in storage "${name}": \`backupctl verify ${short} --storage ${name}\`.`,
    );
    const salvage = `Until then what is sound can be taken out: \`backupctl restore ${short} --skip-damaged --to DIR\`.`;
    return [
      ...this.#help,
      ...(hasSound && reparable !== undefined ? [repair] : []),
      ...(!hasSound && others.damagedIn.length > 0 && reparable !== undefined ? [join] : []),
      ...(hasSound ? elsewhere : ["Make a new full backup now: `backupctl create --mode full`."]),
      ...(!hasSound && !isChanged ? [salvage] : []),
      ...(isChanged
        ? ["Find out who can write to the storage: metadata that does not fit was changed after it was written."]
        : []),
      "Check the storage's disk: one damaged object is seldom alone.",
    ];
  }
}
