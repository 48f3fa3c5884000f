import { expect, test } from "vitest";
import { createLogger, type LogLevel } from "../../src/platform/logger.ts";
import { createRedactor } from "../../src/platform/redact.ts";

function linesAt(level: LogLevel): string[] {
  const lines: string[] = [];
  const logger = createLogger({ level, sink: (line) => lines.push(line), redactor: createRedactor(["hunter22"]) });
  logger.debug("reading");
  logger.info("connected with hunter22");
  logger.warn("name\nfaked line\u001b[2J");
  logger.error("gone");
  return lines;
}

test("each level says what is for it, one line a message, without secrets or control characters", () => {
  const warning = String.raw`warning: name\x0afaked line\x1b[2J`;

  expect(linesAt("quiet")).toEqual([warning, "error: gone"]);
  expect(linesAt("normal")).toEqual(["connected with ***", warning, "error: gone"]);
  expect(linesAt("verbose")).toEqual(["debug: reading", "connected with ***", warning, "error: gone"]);
});
