import type { TreeNode } from "../domain/artifact.ts";
import type { ArtifactWriter } from "./artifact-writer.ts";
import type { FileContent } from "./large-file.ts";
import type { SharedBuffer } from "./shared-buffers.ts";
import type { WorkerPool } from "./workers/pool.ts";
import type { FileToRead, ReadFilesResult } from "./workers/tasks.ts";

const MAX_FILES = 250;

/** Small files that one worker reads together into one buffer. Contents are taken in the order the files were added. */
export class SmallFileBatch {
  static readonly BYTES = 2 * 1024 * 1024;

  readonly #files: FileToRead[] = [];
  readonly #sent = Promise.withResolvers<{ readonly buffer: SharedBuffer; readonly result: ReadFilesResult }>();
  #bytes = 0;
  #chunksTaken = 0;

  fits(node: TreeNode): boolean {
    return this.#files.length < MAX_FILES && this.#bytes + node.size <= SmallFileBatch.BYTES;
  }

  /** Gives the file's place in the batch. */
  add(node: TreeNode): number {
    const expected = { size: node.size, mtimeNs: node.mtimeNs, ctimeNs: node.ctimeNs, inode: node.inode };
    const wantsAttributes = node.attributes !== undefined;
    this.#files.push({ name: node.name, offset: this.#bytes, capacity: node.size, expected, wantsAttributes });
    this.#bytes += node.size;
    return this.#files.length - 1;
  }

  send(buffer: SharedBuffer, pool: WorkerPool): void {
    const read = pool.run({ kind: "read-files", buffer: buffer.memory, files: this.#files });
    read.then((result) => this.#sent.resolve({ buffer, result }), this.#sent.reject);
    this.#sent.promise.catch(() => undefined);
  }

  /** The file's chunks, added to the writer; `grown` if it must be read as a large one. Ask for each place once, in order. */
  async take(place: number, writer: ArtifactWriter): Promise<FileContent | "grown"> {
    const { buffer, result } = await this.#sent.promise;
    const file = result.files[place];
    const { offset } = this.#files[place] ?? {};
    if (file === undefined || offset === undefined) throw new RangeError(`no file ${place} in the batch`);
    const records = writer.add(buffer, offset, result, this.#chunksTaken, file.chunkCount);
    this.#chunksTaken += file.chunkCount;
    if (place === result.files.length - 1) buffer.release();
    if (file.grown) return "grown";
    const { errno, state, changed, attributes } = file;
    return {
      ...(errno === undefined ? {} : { errno }),
      records,
      holes: [],
      state,
      changed,
      ...(attributes === undefined ? {} : { attributes }),
    };
  }
}
