import { PassThrough } from "node:stream";
import { expect, test } from "vitest";
import { terminalPrompts } from "../../src/cli/prompts/terminal-prompts.ts";
import { BackupctlError } from "../../src/errors.ts";

test.each(["confirm", "typeToConfirm"] as const)(
  "a signal at the question %s ends it with the signal's own error",
  async (kind) => {
    const run = new AbortController();
    const prompts = terminalPrompts(run.signal, new PassThrough());
    const interrupted = new BackupctlError("INTERRUPTED", "interrupted by SIGTERM", { exitCode: 143 });

    const answer = kind === "confirm" ? prompts.confirm("Replace it?") : prompts.typeToConfirm("Its name?", "www");
    setImmediate(() => run.abort(interrupted));

    await expect(answer).rejects.toBe(interrupted);
  },
);
