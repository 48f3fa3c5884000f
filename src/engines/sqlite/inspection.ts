import { promises as fs } from "node:fs";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import { runTool } from "../../platform/process.ts";
import { type Inventory, inventorySchema } from "./inventory.ts";

/**
 * Looking through a whole database in a process of its own: SQLite takes seconds to minutes for it in a single call, in which this
 * thread would hear no signal, and no thread that is in such a call can be ended.
 */
const found = z.union([
  z.object({ problems: z.array(z.string()).length(0), inventory: inventorySchema, version: z.string() }),
  z.object({ problems: z.array(z.string()).min(1) }),
]);
const reply = z.union([found, z.object({ code: z.string(), message: z.string() })]);

export type Reply = z.infer<typeof reply>;

/**
 * Checks a file of this program's own, which nobody else has open; what SQLite makes beside it is removed. With problems there is
 * no inventory. @throws an error with SQLite's code where SQLite refuses the file
 */
export async function checkDatabase(file: string, signal: AbortSignal): Promise<z.infer<typeof found>> {
  try {
    return await inspect("check", file, signal);
  } finally {
    await Promise.all(["-wal", "-shm"].map((suffix) => fs.rm(`${file}${suffix}`, { force: true })));
  }
}

/** What another's database holds. @throws an error with SQLite's code where it can't be read */
export async function inventoryOf(file: string, signal: AbortSignal): Promise<Inventory> {
  const result = await inspect("count", file, signal);
  if (!("inventory" in result)) throw new TypeError("nothing was checked, so nothing can be wrong");
  return result.inventory;
}

async function inspect(what: "check" | "count", file: string, signal: AbortSignal): Promise<z.infer<typeof found>> {
  // The build rewrites imports, but not this: the built inspector lies beside the built engine (scripts/build.ts).
  const program = import.meta.url.endsWith(".ts") ? "./inspector.ts" : "./inspector.cjs";
  const args = [fileURLToPath(new URL(program, import.meta.url)), what, file];
  signal.throwIfAborted();
  try {
    const { stdout } = await runTool({ command: process.execPath, args, signal });
    const result = reply.parse(JSON.parse(stdout.toString("utf8")));
    if ("code" in result) throw Object.assign(new Error(result.message), { code: result.code });
    return result;
  } catch (error) {
    // A terminal's Ctrl-C ends that process too.
    signal.throwIfAborted();
    throw error;
  }
}
