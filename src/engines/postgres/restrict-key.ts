import { createHash } from "node:crypto";

const COMMAND = /^\\(un)?restrict .*$/gm;

/**
 * Replaces the random key of `\restrict` in a script of pg_dumpall by one that depends on the script alone, so that unchanged
 * roles give unchanged bytes. Whoever wrote the script's content still can't foresee the key: it is a hash of all of it.
 */
export function withStableRestrictKey(script: Buffer): Buffer {
  const text = script.toString("latin1");
  const key = createHash("sha256").update(text.replaceAll(COMMAND, "")).digest("hex");
  return Buffer.from(
    text.replaceAll(COMMAND, (_, un: string | undefined) => `\\${un ?? ""}restrict ${key}`),
    "latin1",
  );
}
