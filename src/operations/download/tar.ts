import { once } from "node:events";
import type { Wanted } from "../../format/chunk-reader.ts";
import type { TreeEntry } from "../../format/index-reader.ts";
import type { BackupContents, OpenedSource } from "../repository/backup-contents.ts";
import { readerOf } from "../restore/check.ts";
import { HardLinkGroups } from "../restore/facts.ts";
import { DataLayout } from "../restore/layout.ts";
import { type SelectedEntry, type Selection, selectedEntries } from "../restore/selection.ts";
import { paxHeader, plainHeader } from "./tar-header.ts";

interface TarDownload {
  readonly contents: BackupContents;
  readonly opened: OpenedSource;
  readonly selection: Selection | undefined;
  readonly write: (bytes: Uint8Array) => Promise<void>;
  readonly onRead: (bytes: number, files: number) => void;
}

/** Writes a file tree as one tar archive (pax), every chunk checked. Holes are written out as zeros. */
export async function writeTar(download: TarDownload): Promise<void> {
  const { pack: openPack } = await import("tar-stream");
  const pack = openPack();
  pack.on("error", () => undefined);
  const produce = async (): Promise<void> => {
    try {
      await new TarRun(download, pack).run();
      pack.finalize();
    } catch (error) {
      pack.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  const consume = async (): Promise<void> => {
    try {
      for await (const piece of pack) {
        if (piece instanceof Uint8Array) await download.write(piece);
      }
    } catch (error) {
      pack.destroy(error instanceof Error ? error : new Error(String(error)));
      throw error;
    }
  };
  const [produced, consumed] = await Promise.allSettled([produce(), consume()]);
  // What ended the production reaches the consumer as it is; the other way round it arrives as one of tar-stream's own.
  if (consumed.status === "rejected") throw consumed.reason;
  if (produced.status === "rejected") throw produced.reason;
}

/** Entries without content that come before a file, and the file that is being written. */
interface FileWanted {
  readonly before: readonly LinkedEntry[];
  readonly file: OpenFile;
}

interface LinkedEntry {
  readonly entry: TreeEntry;
  /** The first member of its hard link group. */
  readonly linkName: Buffer | undefined;
}

interface OpenFile {
  readonly entry: TreeEntry;
  readonly layout: DataLayout;
  sink: TarEntry | undefined;
  position: number;
  chunksLeft: number;
}

type TarPack = ReturnType<typeof import("tar-stream")["pack"]>;

interface TarEntry {
  write(bytes: Uint8Array): Promise<void>;
  end(): Promise<void>;
}

/** Entries without content: a tree may have a million, one behind the other. */
const MOST_WAITING = 1_000;
const ZEROS = new Uint8Array(256 * 1024);

class TarRun {
  readonly #download: TarDownload;
  readonly #pack: TarPack;
  readonly #groups = new HardLinkGroups();
  #waiting: LinkedEntry[] = [];
  #ended = false;

  constructor(download: TarDownload, pack: TarPack) {
    this.#download = download;
    this.#pack = pack;
  }

  async run(): Promise<void> {
    const { contents, opened, selection, onRead } = this.#download;
    const reader = readerOf(contents, opened);
    const entries = selectedEntries(opened.indexFile, selection);
    do {
      for await (const { what, bytes } of reader.read(this.#wanted(entries))) {
        const { file, before } = what;
        if (file.sink === undefined) {
          for (const entry of before) await this.#writeWhole(entry);
          file.sink = this.#begin(file.entry);
        }
        await this.#write(file, file.sink, bytes);
        const isLast = --file.chunksLeft === 0;
        if (isLast) await this.#finish(file, file.sink);
        onRead(bytes.length, isLast ? 1 : 0);
      }
      for (const entry of this.#waiting) await this.#writeWhole(entry);
      this.#waiting = [];
    } while (!this.#ended);
  }

  /** The chunks of the next files: up to the end, or to where so much waits behind them that it has to be written first. */
  *#wanted(entries: Iterator<SelectedEntry>): Generator<Wanted<FileWanted>> {
    for (let next = entries.next(); ; next = entries.next()) {
      if (next.done === true) {
        this.#ended = true;
        return;
      }
      const { entry } = next.value;
      const linkName = this.#groups.firstOf(entry);
      if (entry.chunks.length === 0 || linkName !== undefined) {
        this.#waiting.push({ entry, linkName });
        if (this.#waiting.length >= MOST_WAITING) return;
        continue;
      }
      const layout = new DataLayout(entry.holes);
      const file: OpenFile = { entry, layout, sink: undefined, position: 0, chunksLeft: entry.chunks.length };
      const what = { before: this.#waiting, file };
      this.#waiting = [];
      for (const chunk of entry.chunks) yield { chunk, what };
    }
  }

  async #write(file: OpenFile, sink: TarEntry, bytes: Uint8Array): Promise<void> {
    let done = 0;
    for (const [offset, length] of file.layout.take(bytes.length)) {
      await this.#fill(file, sink, offset);
      await sink.write(bytes.subarray(done, done + length));
      done += length;
      file.position += length;
    }
  }

  async #fill(file: OpenFile, sink: TarEntry, until: number): Promise<void> {
    while (file.position < until) {
      const zeros = ZEROS.subarray(0, Math.min(ZEROS.length, until - file.position));
      await sink.write(zeros);
      file.position += zeros.length;
    }
  }

  async #finish(file: OpenFile, sink: TarEntry): Promise<void> {
    await this.#fill(file, sink, file.entry.size);
    await sink.end();
  }

  /** An entry that nothing has to be fetched for; a file of zeros only has content all the same. */
  async #writeWhole({ entry, linkName }: LinkedEntry): Promise<void> {
    if (entry.type === "file" && linkName === undefined) {
      const file: OpenFile = { entry, layout: new DataLayout([]), sink: undefined, position: 0, chunksLeft: 0 };
      return this.#finish(file, this.#begin(entry));
    }
    this.#pack.push(paxHeader(entry, linkName));
    await new Promise<void>((resolve, reject) => {
      const sink = this.#pack.entry(plainHeader(entry, linkName), (error) => (error ? reject(error) : resolve()));
      sink.on("error", () => undefined);
    });
  }

  #begin(entry: TreeEntry): TarEntry {
    this.#pack.push(paxHeader(entry, undefined));
    let ended: (error?: Error | null) => void = () => undefined;
    const end = new Promise<void>((resolve, reject) => {
      ended = (error) => (error ? reject(error) : resolve());
    });
    end.catch(() => undefined);
    const sink = this.#pack.entry(plainHeader(entry, undefined), ended);
    // The same error reaches whoever waits for the end; without a listener it would end the process.
    sink.on("error", () => undefined);
    return {
      async write(bytes) {
        if (!sink.write(bytes)) await Promise.race([once(sink, "drain"), end]);
      },
      end() {
        sink.end(null);
        return end;
      },
    };
  }
}
