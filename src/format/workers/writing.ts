import type { Shortfalls } from "../../platform/tree/entry-metadata.ts";
import { openSharedTree } from "../../platform/tree/tree-writer.ts";
import { writeFully } from "../../platform/write.ts";
import type { BlockContents } from "./tasks.ts";

/** Writes what files have of an opened block: whole ones from their making to their times, parts into files that are open. */
export function writeContents(raw: Uint8Array, { tree, files, parts }: BlockContents): Shortfalls {
  for (const { descriptor, offsetInBlock, length, position } of parts) {
    writeFully(descriptor, raw.subarray(offsetInBlock, offsetInBlock + length), position);
  }
  const target = openSharedTree(tree);
  try {
    for (const { name, size, metadata, spans } of files) {
      const file = target.beginFile(Buffer.from(name), size);
      let at = 0;
      for (const [offset, length] of spans) {
        target.writeAt(file, at, raw.subarray(offset, offset + length));
        at += length;
      }
      target.finishFile(file, metadata);
    }
    return target.shortfalls();
  } finally {
    target.close();
  }
}
