import { execFileSync, spawnSync } from "node:child_process";

const DEBIAN_PACKAGES = ["restic", "borgbackup", "age", "zstd", "postgresql"];

export function isInstalled(program: string): boolean {
  return spawnSync("bash", ["-c", 'command -v "$1"', "bash", program]).status === 0;
}

/** As root or with sudo, from the system's own packages. */
export function installContenders(): void {
  const asRoot = process.getuid?.() === 0 ? [] : ["sudo", "-n"];
  const install = ["apt-get", "-q", "-y", "install", "--no-install-recommends", ...DEBIAN_PACKAGES];
  for (const command of [["apt-get", "-q", "update"], install]) {
    const [program = "", ...args] = [...asRoot, ...command];
    execFileSync(program, args, { stdio: "inherit" });
  }
}

const VERSION_COMMANDS: Readonly<Record<string, readonly string[]>> = {
  restic: ["restic", "version"],
  borg: ["borg", "--version"],
  tar: ["tar", "--version"],
  zstd: ["zstd", "--version"],
  age: ["age", "--version"],
  pg_dump: ["pg_dump", "--version"],
  rclone: ["rclone", "--version"],
};

/** Program → the first line that it says of itself. */
export function installedVersions(): Record<string, string> {
  const versions: Record<string, string> = { node: process.version };
  for (const [name, [program = "", ...args]] of Object.entries(VERSION_COMMANDS)) {
    if (isInstalled(program)) versions[name] = execFileSync(program, args, { encoding: "utf8" }).split("\n")[0] ?? "";
  }
  return versions;
}
