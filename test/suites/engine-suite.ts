import { mkdir, mkdtemp, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type {
  DumpContext,
  Engine,
  RestoreOutcome,
  StreamDump,
  StreamEntry,
  StreamSummary,
  TargetRequest,
} from "../../src/engines/engine.ts";
import { isBackupctlError } from "../../src/errors.ts";
import { giveBack, isWhole } from "../../src/platform/own-memory.ts";
import { removeTree } from "../../src/platform/tree/removal.ts";

/** One stream engine with a filled source, and what the suite needs to look at it from outside. */
export interface StreamEngineSubject {
  readonly engine: Engine;
  /** The artifact kind that its dumps must carry. */
  readonly kind: string;
  /** A place where nothing is yet. Without one the round trip is skipped (an engine that can't restore). */
  readonly elsewhere?: Pick<TargetRequest, "to" | "overrides">;
  /** The content of the source and of `elsewhere` in a form that `toEqual` compares; read with other tools than the engine. */
  readonly sourceContent: () => Promise<unknown>;
  readonly restoredContent: () => Promise<unknown>;
  /** The same engine, set up so that its dump must fail: an unreadable source, a tool that breaks off. Named for the test. */
  readonly failing: readonly { readonly name: string; readonly engine: Engine }[];
  /** The same engine, set up so that the dump never ends by itself; `child` gives the pid of its tool where it has one. */
  readonly endless?: { readonly engine: Engine; readonly child?: () => Promise<number> };
  readonly close?: () => Promise<void>;
}

const PROMPTLY_MS = 3_000;

/**
 * What every engine with a stream owes its callers (src/engines/engine.ts). `open` makes a fresh subject in the folder given,
 * which is removed afterwards.
 */
export function engineSuite(name: string, open: (directory: string) => Promise<StreamEngineSubject>): void {
  describe(`${name} as a stream engine`, () => {
    let directory: string;
    let subject: StreamEngineSubject;
    beforeEach(async () => {
      directory = await mkdtemp(path.join(tmpdir(), "backupctl-engine-"));
      subject = await open(directory);
    });
    afterEach(async () => {
      await subject?.close?.();
      await removeTree(directory);
    });
    const context = async (overrides: Partial<DumpContext> = {}) => engineContext(directory, overrides);

    it("dumps a stream whose entries lie inside its bytes and do not overlap their peers", async () => {
      const { bytes, summary, dump } = await collectDump(subject.engine, await context());

      expect(dump.shape).toBe("stream");
      expect(dump.kind).toBe(subject.kind);
      expect(bytes.length).toBeGreaterThan(0);
      expectSaneEntries(summary.entries, bytes.length);
    });

    it("estimates the size of the source without failing", async () => {
      const estimate = await subject.engine.estimate(await context());

      expect(estimate.sizeBytes).toBeGreaterThanOrEqual(0);
    });

    it("gives counts, versions and warnings as plain values that survive JSON", async () => {
      const { summary } = await collectDump(subject.engine, await context());

      expect(JSON.parse(JSON.stringify(summary))).toEqual(summary);
      expect(summary.unreadable).toEqual([]);
      for (const count of Object.values(summary.counts)) expect(Number.isSafeInteger(count)).toBe(true);
    });

    it("names the downloadable files inside the stream, each once", async () => {
      const { bytes, summary } = await collectDump(subject.engine, await context());

      const files = subject.engine.download?.files(summary.entries, bytes.length) ?? [];

      expect(new Set(files.map((file) => file.name)).size).toBe(files.length);
      for (const file of files) {
        expect(file.name).not.toMatch(/\/|^\.\.?$|^$/);
        expect(file.offset + file.size).toBeLessThanOrEqual(bytes.length);
      }
    });

    it("restores elsewhere what the source held, and all its checks pass", async ({ skip }) => {
      const elsewhere = subject.elsewhere;
      if (elsewhere === undefined) return skip("this engine has no place to restore to");
      const dumped = await collectDump(subject.engine, await context());
      const before = await subject.sourceContent();

      const outcome = await restoreDump(subject.engine, dumped, elsewhere, await context());

      expect(await subject.restoredContent()).toEqual(before);
      expect(await subject.sourceContent()).toEqual(before);
      expect(outcome.checks.filter((check) => !check.passed)).toEqual([]);
      expect(outcome.place).not.toBe("");
    });

    it("restores from a stream that arrives in pieces of any size", async ({ skip }) => {
      const elsewhere = subject.elsewhere;
      if (elsewhere === undefined) return skip("this engine has no place to restore to");
      const dumped = await collectDump(subject.engine, await context());
      const before = await subject.sourceContent();

      await restoreDump(subject.engine, dumped, elsewhere, await context(), { pieceBytes: 7_919 });

      expect(await subject.restoredContent()).toEqual(before);
    });

    it("sees that the place elsewhere is empty before a restore and taken after it", async ({ skip }) => {
      const elsewhere = subject.elsewhere;
      if (elsewhere === undefined) return skip("this engine has no place to restore to");
      const dumped = await collectDump(subject.engine, await context());
      const request = { ...elsewhere, entries: dumped.summary.entries };

      const before = await subject.engine.inspectTarget(request, await context());
      await restoreDump(subject.engine, dumped, elsewhere, await context());
      const after = await subject.engine.inspectTarget(request, await context());

      expect(before).toMatchObject({ exists: false });
      expect(after).toMatchObject({ exists: true, place: before.place });
      expect(after.contents.length).toBeGreaterThan(0);
    });

    it("refuses to restore over what is there unless told to", async ({ skip }) => {
      const elsewhere = subject.elsewhere;
      if (elsewhere === undefined) return skip("this engine has no place to restore to");
      const dumped = await collectDump(subject.engine, await context());
      await restoreDump(subject.engine, dumped, elsewhere, await context());
      const restored = await subject.restoredContent();

      const again = restoreDump(subject.engine, dumped, elsewhere, await context());

      await expect(again).rejects.toMatchObject({ code: "TARGET_NOT_EMPTY" });
      expect(await subject.restoredContent()).toEqual(restored);
    });

    it("leaves nothing at the target when the stream breaks off", async ({ skip }) => {
      const elsewhere = subject.elsewhere;
      if (elsewhere === undefined) return skip("this engine has no place to restore to");
      const dumped = await collectDump(subject.engine, await context());

      const broken = restoreDump(subject.engine, dumped, elsewhere, await context(), { breakAfter: 0.6 });

      await expect(broken).rejects.toThrow();
      const state = await subject.engine.inspectTarget(
        { ...elsewhere, entries: dumped.summary.entries },
        await context(),
      );
      expect(state.exists).toBe(false);
    });

    it("fails a dump that can't be whole with SOURCE_FAILED naming the source", async () => {
      for (const { name: broken, engine } of subject.failing) {
        const failure = await collectDump(engine, await context()).then(
          () => `a dump was made although: ${broken}`,
          (error: unknown) => error,
        );

        expect(isBackupctlError(failure, "SOURCE_FAILED"), `${broken}: ${String(failure)}`).toBe(true);
        expect(String(failure), broken).toContain("suite-source");
      }
    });

    it("ends promptly when aborted, and leaves no tool behind", async ({ skip }) => {
      if (subject.endless === undefined) return skip("this engine's dump can't be made to wait");
      const { engine, child } = subject.endless;
      const controller = new AbortController();
      const reason = new Error("stopped by the test");

      const dumping = collectDump(engine, await context({ signal: controller.signal })).catch(
        (error: unknown) => error,
      );
      const pid = await child?.();
      const abortedAt = performance.now();
      controller.abort(reason);
      const failure = await dumping;

      expect(failure).toBeInstanceOf(Error);
      expect(performance.now() - abortedAt).toBeLessThan(PROMPTLY_MS);
      if (pid !== undefined) await expect(stat(`/proc/${pid}`)).rejects.toMatchObject({ code: "ENOENT" });
    });

    it("makes no dump under a signal that is aborted already", async () => {
      const controller = new AbortController();
      controller.abort(new Error("stopped before the start"));

      const dumping = collectDump(subject.engine, await context({ signal: controller.signal }));

      await expect(dumping).rejects.toThrow();
    });
  });
}

export interface CollectedDump {
  readonly dump: StreamDump;
  readonly bytes: Buffer;
  readonly summary: StreamSummary;
}

/** Runs a dump as the pipeline does: all bytes, then `finish`. */
export async function collectDump(engine: Engine, context: DumpContext): Promise<CollectedDump> {
  const dump = await engine.dump(context);
  if (dump.shape !== "stream") throw new Error(`expected a stream, not a ${dump.shape}`);
  const pieces: Uint8Array[] = [];
  for await (const piece of dump.bytes) {
    pieces.push(Buffer.from(piece));
    if (isWhole(piece)) giveBack(piece);
  }
  const summary = await dump.finish();
  return { dump, bytes: Buffer.concat(pieces), summary };
}

export interface RestoreManner {
  readonly pieceBytes?: number;
  /** The part of the stream (0 to 1) after which it fails. */
  readonly breakAfter?: number;
  readonly dropExisting?: boolean;
  readonly overwrite?: boolean;
  readonly entries?: readonly StreamEntry[];
}

/** Restores a collected dump as the restore operation does. */
export async function restoreDump(
  engine: Engine,
  dumped: Pick<CollectedDump, "bytes" | "summary">,
  place: Pick<TargetRequest, "to" | "overrides">,
  context: DumpContext,
  manner: RestoreManner = {},
): Promise<RestoreOutcome> {
  if (engine.restore === undefined) throw new Error("this engine does not restore streams");
  const { inventory } = dumped.summary;
  return await engine.restore(
    {
      ...place,
      entries: manner.entries ?? dumped.summary.entries,
      bytes: pieces(dumped.bytes, manner),
      sizeBytes: dumped.bytes.length,
      ...(inventory === undefined ? {} : { inventory }),
      dropExisting: manner.dropExisting ?? false,
      overwrite: manner.overwrite ?? false,
    },
    context,
  );
}

export interface RecordedContext extends DumpContext {
  readonly warnings: string[];
}

/** A context of the source `suite-source` that keeps its warnings, with a private temporary directory below `directory`. */
export async function engineContext(directory: string, overrides: Partial<DumpContext> = {}): Promise<RecordedContext> {
  const temporaryDirectory = path.join(directory, "temporary");
  await mkdir(temporaryDirectory, { recursive: true, mode: 0o700 });
  const warnings: string[] = [];
  return {
    sourceName: "suite-source",
    signal: new AbortController().signal,
    warn: (message) => warnings.push(message),
    activity: () => undefined,
    temporaryDirectory,
    ...overrides,
    warnings,
  };
}

async function* pieces(bytes: Buffer, manner: RestoreManner): AsyncGenerator<Uint8Array> {
  const size = manner.pieceBytes ?? 65_536;
  const end = manner.breakAfter === undefined ? bytes.length : Math.floor(bytes.length * manner.breakAfter);
  for (let offset = 0; offset < end; offset += size) yield bytes.subarray(offset, Math.min(offset + size, end));
  if (manner.breakAfter !== undefined) throw new Error("the stream broke off");
}

/** Entries may nest (a table in its database) but may not overlap in part, and no name appears twice. */
function expectSaneEntries(entries: readonly StreamEntry[], sizeBytes: number): void {
  expect(new Set(entries.map((entry) => entry.name)).size).toBe(entries.length);
  const open: StreamEntry[] = [];
  for (const entry of entries.toSorted((a, b) => a.offset - b.offset || b.size - a.size)) {
    expect(entry.offset, entry.name).toBeGreaterThanOrEqual(0);
    expect(entry.offset + entry.size, entry.name).toBeLessThanOrEqual(sizeBytes);
    while (open.length > 0 && endOf(open.at(-1)) <= entry.offset) open.pop();
    const around = open.at(-1);
    if (around !== undefined)
      expect(endOf(entry), `${entry.name} within ${around.name}`).toBeLessThanOrEqual(endOf(around));
    open.push(entry);
  }
}

function endOf(entry: StreamEntry | undefined): number {
  return entry === undefined ? 0 : entry.offset + entry.size;
}
