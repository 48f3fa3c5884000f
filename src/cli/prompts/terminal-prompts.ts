import { BackupctlError } from "../../errors.ts";
import type { Prompts } from "./prompts.ts";

/** Asks on standard error, so that standard output stays the result's. */
export function terminalPrompts(signal: AbortSignal, output: NodeJS.WritableStream): Prompts {
  const context = { signal, output, clearPromptOnDone: false };
  return {
    confirm: async (message) => {
      const { confirm } = await import("@inquirer/prompts");
      return untilInterrupted(confirm({ message, default: false }, context), signal);
    },
    typeToConfirm: async (message, expected) => {
      const { input } = await import("@inquirer/prompts");
      const typed = await untilInterrupted(input({ message }, context), signal);
      return typed.trim() === expected;
    },
  };
}

/** Ctrl-C in a prompt never becomes a signal: the terminal is in raw mode. A signal from elsewhere ends it as it ends all else. */
async function untilInterrupted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  try {
    return await answer;
  } catch (cause) {
    signal.throwIfAborted();
    if (cause instanceof Error && cause.name === "ExitPromptError") {
      throw new BackupctlError("INTERRUPTED", "interrupted: nothing was done", { cause });
    }
    throw cause;
  }
}
