import { Readable } from "node:stream";
import type { BlobDownloadResponseParsed } from "@azure/storage-blob";
import { wholeBody } from "../network/whole-body.ts";
import type { ByteRange } from "../storage.ts";

/** Ended too early, or not what was asked for: another try may help. */
class BrokenDownload extends Error {
  readonly code = "ERR_STREAM_PREMATURE_CLOSE";
}

/** All bytes of the answer, which must be those of the range. */
export async function readBody(answer: BlobDownloadResponseParsed, range: ByteRange | undefined): Promise<Buffer> {
  const { contentLength = -1, readableStreamBody } = answer;
  const expected = expectedLength(answer, range);
  if (contentLength !== expected) {
    throw new BrokenDownload(`the answer has ${contentLength} bytes instead of ${expected}`);
  }
  if (!(readableStreamBody instanceof Readable)) throw new TypeError("the SDK gave no stream");
  let bytes: Buffer;
  try {
    bytes = await wholeBody(readableStreamBody, expected);
  } catch (error) {
    // The SDK's own words for a lost connection, and for one that was cut, are others each time.
    throw new BrokenDownload(`the connection was lost before all of ${expected} bytes had come`, { cause: error });
  }
  if (bytes.length !== expected) throw new BrokenDownload(`${bytes.length} of ${expected} bytes came`);
  return bytes;
}

function expectedLength(
  { contentRange = "", contentLength = -1 }: BlobDownloadResponseParsed,
  range?: ByteRange,
): number {
  if (range === undefined) return contentLength;
  const [, first = "-1", total = "-1"] = /^bytes (\d+)-\d+\/(\d+)$/.exec(contentRange) ?? [];
  if (Number(first) !== range.offset) throw new BrokenDownload(`the answer is about other bytes: ${contentRange}`);
  return Math.min(range.length, Number(total) - range.offset);
}
