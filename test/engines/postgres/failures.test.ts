import { describe, expect, it } from "vitest";
import { failureOf } from "../../../src/engines/postgres/failures.ts";
import { options } from "../../../src/engines/postgres/options.ts";
import { BackupctlError } from "../../../src/errors.ts";
import { tempDir } from "../../helpers/temp-dir.ts";
import { engineContext } from "../../suites/engine-suite.ts";

/** What pg_restore says of a server without room: the second where a part of a page still found some. */
const FULL = [
  'pg_restore: error: COPY failed for table "t": ERROR:  could not extend file "base/16391/16392": No space left on device; HINT:  Check free disk space.',
  'pg_restore: error: COPY failed for table "t": ERROR:  could not extend file "base/16391/16392": wrote only 4096 of 8192 bytes at block 1321; HINT:  Check free disk space.',
  'pg_restore: error: could not execute query: ERROR:  could not write to file "base/pgsql_tmp/1": No space left on device',
];

async function failureSaying(said: string): Promise<unknown> {
  const context = await engineContext(tempDir());
  const frame = { code: "RESTORE_FAILED", what: "restore failed", context, options: options.parse({}) } as const;
  return failureOf(new BackupctlError("TOOL_FAILED", said), frame);
}

describe("a failure of PostgreSQL's tools", () => {
  it.each(FULL)("is a full disk of the server: %s", async (said) => {
    expect(await failureSaying(said)).toMatchObject({
      code: "INSUFFICIENT_STORAGE",
      message: `restore failed: ${said}`,
      hint: "Free some space on the server's disk, then run it again.",
    });
  });

  it("that nobody here knows leads to the server's log", async () => {
    expect(await failureSaying("pg_restore: error: out of luck")).toMatchObject({
      code: "RESTORE_FAILED",
      hint: "See what the server's log says of the same moment.",
    });
  });
});
