import { randomBytes } from "node:crypto";
import { promises as fs } from "node:fs";
import * as os from "node:os";
import { z } from "zod";
import type { Clock } from "./clock.ts";
import { readFileIfExists } from "./files.ts";
import { currentUserName } from "./user-name.ts";

/** What a holder says about itself; further facts (progress, phase) travel along as they are. */
export interface HolderFacts {
  readonly operation: string;
  readonly backupId?: string | undefined;
  readonly [fact: string]: unknown;
}

export interface Holder extends HolderFacts {
  readonly pid: number;
  readonly host: string;
  readonly user: string;
  /** ISO 8601, by the holder's clock. */
  readonly since: string;
}

/** The facts lie beside the lock: a locked file can't be replaced atomically without losing its lock. */
export function holderFile(lockFile: string): string {
  return `${lockFile}.json`;
}

export function currentHolder(facts: HolderFacts, clock: Clock): Holder {
  return { ...facts, pid: process.pid, host: os.hostname(), user: currentUserName(), since: clock.now().toISOString() };
}

/** Replaced whole but not flushed: after a power cut nobody holds the lock, and half a line reads as nobody. */
export async function writeHolder(lockFile: string, holder: Holder): Promise<void> {
  const file = holderFile(lockFile);
  const temporary = `${file}.${randomBytes(4).toString("hex")}`;
  try {
    await fs.writeFile(temporary, `${JSON.stringify(holder)}\n`, { mode: 0o600 });
    await fs.rename(temporary, file);
  } catch (error) {
    await fs.rm(temporary, { force: true });
    throw error;
  }
}

export async function readHolderFile(lockFile: string): Promise<Holder | undefined> {
  const bytes = await readFileIfExists(holderFile(lockFile));
  if (bytes === undefined) return undefined;
  const schema = z.looseObject({
    operation: z.string(),
    backupId: z.string().optional(),
    pid: z.int(),
    host: z.string(),
    user: z.string(),
    since: z.string(),
  });
  const parsed = schema.safeParse(parseJson(bytes.toString("utf8")));
  return parsed.success ? parsed.data : undefined;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
