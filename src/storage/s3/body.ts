import { Readable } from "node:stream";
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import type { ByteRange } from "../storage.ts";

/**
 * The bytes of an answer to a request for `range`, and no more than it asked for: a service that knows no ranges sends
 * everything, however large that is.
 */
export async function readBody(answer: GetObjectCommandOutput, range: ByteRange | undefined): Promise<Buffer> {
  const { Body: body, ContentRange: sent } = answer;
  if (!(body instanceof Readable)) throw new TypeError("the SDK gave no stream");
  let skip = sent === undefined ? (range?.offset ?? 0) : 0;
  let wanted = range?.length ?? Number.POSITIVE_INFINITY;
  const pieces: Buffer[] = [];
  for await (const chunk of body) {
    const piece = chunk.subarray(skip, skip + wanted);
    skip -= Math.min(skip, chunk.length);
    wanted -= piece.length;
    pieces.push(piece);
    if (wanted === 0) break;
  }
  return Buffer.concat(pieces);
}
