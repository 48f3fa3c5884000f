import { spawnSync } from "node:child_process";
import { existsSync } from "node:fs";
import { constants } from "node:os";
import { fileURLToPath } from "node:url";

/** Whether `version` (of Node) is at least `minimum`, both as `major.minor`. */
export function isNodeAtLeast(version: string, minimum: readonly [major: number, minor: number]): boolean {
  const [major = 0, minor = 0] = version.split(".").map(Number);
  return major > minimum[0] || (major === minimum[0] && minor >= minimum[1]);
}

/**
 * Runs this program again with the Node that npm installed beside it, and returns its exit status; `undefined` if there is none.
 * Must work on every Node that can load ES modules.
 */
export function runOnBundledNode(mainUrl: string, args: readonly string[]): number | undefined {
  const name = `node-${process.platform}-${process.arch}/bin/node`;
  const places = [`../node_modules/${name}`, `../../${name}`].map((place) => fileURLToPath(new URL(place, mainUrl)));
  const node = places.find((place) => existsSync(place));
  if (node === undefined) return undefined;
  // The child shares the terminal and gets its signals itself; this process only waits.
  const ignore = (): void => undefined;
  for (const name of ["SIGHUP", "SIGINT", "SIGTERM"] as const) process.on(name, ignore);
  const { status, signal, error } = spawnSync(node, [fileURLToPath(mainUrl), ...args], { stdio: "inherit" });
  if (error !== undefined) return undefined;
  return status ?? 128 + (signal === null ? 0 : constants.signals[signal]);
}
