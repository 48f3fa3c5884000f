import { execFileSync, spawnSync } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { onTestFinished } from "vitest";

export const canMount =
  process.geteuid?.() === 0 && spawnSync("unshare", ["-m", "mount", "-t", "tmpfs", "none", "/mnt"]).status === 0;

/** A file that nobody can replace, not even root: another one is mounted on it until the test is over. */
export function mountOn(path: string, content = "mounted"): void {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, "below");
  writeFileSync(`${path}.other`, content);
  execFileSync("mount", ["--bind", `${path}.other`, path]);
  onTestFinished(() => void execFileSync("umount", [path]));
}
