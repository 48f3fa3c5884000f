import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { onTestFinished } from "vitest";
import { SYSTEM_PYTHON } from "../servers/requirements.ts";

/** A line of so many bytes a second to a server on 127.0.0.1, until the test ends. @returns its port. Ask `requireOrSkip("python3")` first. */
export async function startSlowLine(bytesPerSecond: number, targetPort: number): Promise<number> {
  const script = join(import.meta.dirname, "slow-line.py");
  const line = spawn(SYSTEM_PYTHON, [script, String(bytesPerSecond), String(targetPort)], {
    stdio: ["ignore", "pipe", "inherit"],
  });
  onTestFinished(() => void line.kill("SIGKILL"));
  const [said] = await once(line.stdout, "data");
  return Number(said);
}
