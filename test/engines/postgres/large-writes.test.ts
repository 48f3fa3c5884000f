import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { largeWrites } from "../../../src/engines/postgres/large-writes.ts";
import { runTool } from "../../../src/platform/process.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

describe("the environment that has pg_dump write more at a time", () => {
  it("names the first library that is there, behind those that the user has programs load", () => {
    const library = join(tempDir(), "libstdbuf.so");
    writeFileSync(library, "");
    const libraries = [join(tempDir(), "missing.so"), library];

    expect(largeWrites({}, libraries)).toEqual({ LD_PRELOAD: library, _STDBUF_O: "65536" });
    expect(largeWrites({ LD_PRELOAD: "/own.so" }, libraries)).toMatchObject({ LD_PRELOAD: `/own.so:${library}` });
  });

  it("changes nothing where there is no such library", () => {
    expect(largeWrites({ LD_PRELOAD: "/own.so" }, [join(tempDir(), "missing.so")])).toEqual({});
  });

  it("is taken by a program without a word", async () => {
    const { stdout, stderr } = await runTool({ command: "sort", args: ["--version"], env: largeWrites({}) });

    expect(stdout.toString()).toContain("sort");
    expect(stderr).toBe("");
  });
});
