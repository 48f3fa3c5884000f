import { promises as fs } from "node:fs";
import { readFileIfExists } from "../files.ts";

const ZONES = /\/zoneinfo\/(?:posix\/|right\/)?(.+)$/;

/** The IANA zone of the host's clock, by which cron goes; not that of TZ, which is this process's own. */
export async function systemTimezone(): Promise<string> {
  const link = await fs.readlink("/etc/localtime").catch(() => "");
  return ZONES.exec(link)?.[1] ?? (await readFileIfExists("/etc/timezone"))?.toString().trim() ?? "UTC";
}
