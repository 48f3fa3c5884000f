import type { Redactor } from "./redact.ts";

/** For the operator, one line a message; results do not go here. */
export interface Logger {
  debug(message: string): void;
  info(message: string): void;
  warn(message: string): void;
  error(message: string): void;
}

/** `quiet`: warnings and errors; `normal`: also info; `verbose`: also debug. */
export type LogLevel = "quiet" | "normal" | "verbose";

export interface LoggerOptions {
  readonly level: LogLevel;
  /** Takes one line without its line break. */
  readonly sink: (line: string) => void;
  readonly redactor: Redactor;
}

export function createLogger({ level, sink, redactor }: LoggerOptions): Logger {
  const write = (prefix: string, message: string): void => sink(prefix + redactor.clean(message));
  return {
    debug: (message) => {
      if (level === "verbose") write("debug: ", message);
    },
    info: (message) => {
      if (level !== "quiet") write("", message);
    },
    warn: (message) => write("warning: ", message),
    error: (message) => write("error: ", message),
  };
}
