import { giveBack } from "../../platform/own-memory.ts";

/**
 * The bytes of an answer from `skipBytes` on, no more than `mostBytes`, and fewer where it ends. What it came in is given back piece by piece:
 * left to the collector, twice the bytes of all answers under way would be in memory.
 */
export async function wholeBody(answer: AsyncIterable<Uint8Array>, mostBytes: number, skipBytes = 0): Promise<Buffer> {
  // Of a large block the system gives no more memory than is written to.
  const body = Buffer.allocUnsafeSlow(mostBytes);
  let passed = 0;
  for await (const piece of answer) {
    const wanted = piece.subarray(Math.max(0, skipBytes - passed), Math.max(0, skipBytes + mostBytes - passed));
    body.set(wanted, Math.max(0, passed - skipBytes));
    passed += piece.length;
    giveBack(piece);
    if (passed >= skipBytes + mostBytes) break;
  }
  return body.subarray(0, Math.max(0, Math.min(passed - skipBytes, mostBytes)));
}
