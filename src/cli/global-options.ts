import { flag, negatable, text } from "./option.ts";

/** Taken by every command, before or after its name. */
export const GLOBAL_OPTIONS = {
  config: text("PATH", "the configuration file (else BACKUPCTL_CONFIG)", {
    short: "c",
    path: true,
  }),
  json: flag("the result as one JSON object, errors too"),
  quiet: flag("warnings and errors only", { short: "q" }),
  verbose: flag("more details", { short: "v" }),
  color: negatable("colour or none (else as the terminal is)"),
} as const;

export const YES = flag("answer the question with yes", { short: "y" });
export const DRY_RUN = flag("show the plan and change nothing", { short: "n" });
export const LOCK_WAIT = {
  placeholder: "DURATION",
  description: "wait for another run to end, e.g. 10m (default: do not wait)",
};
