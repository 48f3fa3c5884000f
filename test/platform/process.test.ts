import { readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, expect, it } from "vitest";
import { runTool, streamTool, type ToolStream } from "../../src/platform/process.ts";

async function read(stream: AsyncIterable<Uint8Array>): Promise<string> {
  const pieces: Uint8Array[] = [];
  for await (const piece of stream) pieces.push(piece);
  return Buffer.concat(pieces).toString("utf8");
}

/** Nobody may be there to collect one whose parent has ended: it is a zombie then. */
function isRunning(pid: string): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, "utf8"));
  } catch {
    return false;
  }
}

describe("streamTool", () => {
  it("keeps the output of a tool that ends before anybody reads", async () => {
    const tool = await streamTool({ command: "printf", args: ["all of it"] });
    await sleep(300);

    expect(await read(tool.stdout)).toBe("all of it");
    await tool.finish();
  });

  it("tells a tool that fails after its output from one that succeeds", async () => {
    const tool = await streamTool({ command: "sh", args: ["-c", "echo half; echo broken >&2; exit 3"] });

    expect(await read(tool.stdout)).toBe("half\n");
    await expect(tool.finish()).rejects.toMatchObject({
      code: "TOOL_FAILED",
      message: "sh exited with code 3: broken",
    });
  });

  it("shows only the end of a line that a tool never ended", async () => {
    const script = "head -c 50000 /dev/zero | tr '\\0' e >&2; echo ' at last' >&2; exit 3";

    const failure = await runTool({ command: "sh", args: ["-c", script] }).then(() => undefined, String);

    expect(failure).toMatch(/exited with code 3: …e{292} at last$/);
  });

  it("ends when its time is over, though something that left the tool keeps the pipe open", async () => {
    const run = { command: "sh", args: ["-c", "echo waiting >&2; (sleep 60 &); sleep 600; true"], timeoutMs: 1_000 };
    const late = { code: "TOOL_FAILED", message: "sh was ended because it took too long: waiting" };
    const tool = await streamTool(run);

    await read(tool.stdout).catch(() => undefined);
    await expect(tool.finish()).rejects.toMatchObject(late);
    await expect(runTool(run)).rejects.toMatchObject(late);
  }, 30_000);

  it("ends at once when aborted, though something that left the tool keeps the pipe open", async () => {
    const controller = new AbortController();
    const tool = await streamTool({
      command: "sh",
      args: ["-c", "echo begin; (sleep 60 &); sleep 30"],
      signal: controller.signal,
    });
    setTimeout(() => controller.abort(new Error("enough")), 200);

    await read(tool.stdout).catch(() => undefined);
    await expect(tool.finish()).rejects.toThrow("enough");
  }, 5_000);

  it.each([
    ["aborted", (_tool: ToolStream, controller: AbortController) => controller.abort(new Error("enough"))],
    ["killed", (tool: ToolStream) => tool.kill()],
  ])("leaves nothing of what the tool has started when it is %s", async (_how, end) => {
    const controller = new AbortController();
    const script = "sh -c 'sleep 600 & echo $$ $!; wait; true'; echo on";
    const tool = await streamTool({ command: "sh", args: ["-c", script], signal: controller.signal });
    const { value } = await tool.stdout[Symbol.asyncIterator]().next();
    const pids = String(value).trim().split(" ");

    end(tool, controller);

    await expect(tool.finish()).rejects.toThrow();
    await expect.poll(() => pids.filter(isRunning)).toEqual([]);
  });

  it.each(["aborted", "killed"])("kills a tool that does not end when it is asked to (%s)", async (how) => {
    const controller = new AbortController();
    const script = "trap '' TERM; echo $$; while :; do sleep 1; done";
    const tool = await streamTool({ command: "sh", args: ["-c", script], signal: controller.signal });
    const { value } = await tool.stdout[Symbol.asyncIterator]().next();

    if (how === "killed") tool.kill();
    else controller.abort(new Error("enough"));

    await expect(tool.finish()).rejects.toThrow();
    expect(isRunning(String(value).trim())).toBe(false);
  });

  it("says that a tool could not be started", async () => {
    const start = async () => {
      const tool = await streamTool({ command: "/dev/null", args: [] });
      await read(tool.stdout).catch(() => undefined);
      await tool.finish();
    };

    await expect(start()).rejects.toMatchObject({ message: "/dev/null could not be started (EACCES)" });
  });

  it("keeps the end of what a tool says, however much it says", async () => {
    const noise = "head -c 64M /dev/zero | tr '\\0' x >&2; echo the end >&2; echo done; exit 1";
    const tool = await streamTool({ command: "sh", args: ["-c", noise] });

    expect(await read(tool.stdout)).toBe("done\n");
    const failure = await tool.finish().catch((error: Error) => error);
    expect(String(failure)).toContain("the end");
    expect(String(failure).length).toBeLessThan(100_000);
  });

  it("lets a tool run whose time is longer than a timer can be", async () => {
    const tool = await streamTool({ command: "printf", args: ["done"], timeoutMs: 2 ** 31 });

    expect(await read(tool.stdout)).toBe("done");
    await tool.finish();
  });

  it("says which tool is missing", async () => {
    const start = async () => {
      const tool = await streamTool({ command: "no-such-tool", args: [] });
      await read(tool.stdout).catch(() => undefined);
      await tool.finish();
    };

    await expect(start()).rejects.toMatchObject({ code: "TOOL_MISSING" });
  });
});
