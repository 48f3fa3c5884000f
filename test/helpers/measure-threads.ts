import { expect } from "vitest";

/** Set up with coverage alone: the threads that tests of the format and of restores start write what they ran, for scripts/coverage.ts. */
if (/\/test\/(format|operations\/restore)\//.test(expect.getState().testPath ?? ""))
  process.env.NODE_V8_COVERAGE = "coverage/threads";
