import { chmodSync, mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, describe, expect, it, vi } from "vitest";
import { chooseTool } from "../../../src/engines/postgres/client-tools.ts";
import { tempDir } from "../../helpers/temp-dir.ts";

const signal = new AbortController().signal;

function toolOfVersion(folder: string, version: string): string {
  mkdirSync(folder, { recursive: true });
  const file = join(folder, "pg_dump");
  writeFileSync(file, `#!/bin/sh\necho "pg_dump (PostgreSQL) ${version}"\n`);
  chmodSync(file, 0o755);
  return file;
}

afterEach(() => {
  vi.unstubAllEnvs();
});

describe("the choice of a client program", () => {
  it("takes the configured path and says its version", async () => {
    const command = toolOfVersion(tempDir(), "16.4 (Debian 16.4-1)");

    const tool = await chooseTool({ tool: "pg_dump", atLeast: 15, tools: { pg_dump: command }, signal });

    expect(tool).toEqual({ command, major: 16, version: "16.4" });
  });

  it("looks into the configured folder, and a path takes precedence over it", async () => {
    const folder = tempDir();
    const inFolder = toolOfVersion(folder, "17.1");
    const configured = toolOfVersion(join(folder, "x"), "18.0");
    const choice = { tool: "pg_dump", atLeast: 15, binDirectory: folder, signal } as const;

    expect((await chooseTool({ ...choice, tools: {} })).command).toBe(inFolder);
    expect((await chooseTool({ ...choice, tools: { pg_dump: configured } })).command).toBe(configured);
  });

  it("asks no other one where the first is exactly of the server's version", async () => {
    const first = tempDir();
    const second = tempDir();
    const command = toolOfVersion(first, "99.1");
    toolOfVersion(second, "nobody should ask");
    vi.stubEnv("PATH", `${first}:${second}`);

    const tool = await chooseTool({ tool: "pg_dump", atLeast: 99, tools: {}, signal });

    expect(tool).toEqual({ command, major: 99, version: "99.1" });
  });

  it("refuses one that is older than the server, with the package that helps", async () => {
    const command = toolOfVersion(tempDir(), "13.2");

    const choosing = chooseTool({ tool: "pg_dump", atLeast: 16, tools: { pg_dump: command }, signal });

    await expect(choosing).rejects.toMatchObject({
      code: "TOOL_TOO_OLD",
      message: expect.stringContaining(`${command} is 13.2`),
      hint: expect.stringContaining("apt install postgresql-client-16"),
    });
  });

  it("says when there is none, and where it looked for a configured one", async () => {
    const missing = join(tempDir(), "pg_dump");

    const choosing = chooseTool({ tool: "pg_dump", atLeast: 16, tools: { pg_dump: missing }, signal });

    await expect(choosing).rejects.toMatchObject({
      code: "TOOL_MISSING",
      message: `pg_dump was not found at ${missing}`,
      hint: expect.stringContaining("tools: pg_dump"),
    });
  });

  it("refuses a program that is something else", async () => {
    const choosing = chooseTool({ tool: "pg_dump", atLeast: 16, tools: { pg_dump: "/bin/echo" }, signal });

    await expect(choosing).rejects.toMatchObject({ code: "TOOL_FAILED" });
  });
});
