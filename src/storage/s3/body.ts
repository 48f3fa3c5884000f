import { Readable } from "node:stream";
import type { GetObjectCommandOutput } from "@aws-sdk/client-s3";
import { ForeignAnswer } from "../network/foreign-answer.ts";
import { wholeBody } from "../network/whole-body.ts";
import type { ByteRange } from "../storage.ts";

/**
 * The bytes of an answer to a request for `range`, and no more than it asked for: a service that knows no ranges sends
 * everything, however large that is.
 */
export async function readBody(answer: GetObjectCommandOutput, range: ByteRange | undefined): Promise<Buffer> {
  const { Body: body, ContentRange: sent, ContentLength: length = range?.length } = answer;
  if (!(body instanceof Readable)) throw new TypeError("the SDK gave no stream");
  if (length === undefined) throw new ForeignAnswer("it does not say how long the object is");
  const skip = sent === undefined ? (range?.offset ?? 0) : 0;
  return await wholeBody(body, Math.max(0, Math.min(length - skip, range?.length ?? length)), skip);
}
