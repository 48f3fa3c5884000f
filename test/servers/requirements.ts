import { spawnSync } from "node:child_process";
import { accessSync, constants, existsSync, mkdtempSync, readdirSync, rmdirSync } from "node:fs";
import { delimiter, join } from "node:path";
import { AZURITE_PROGRAM } from "./azurite.ts";

const POSTGRES_ROOT = "/usr/lib/postgresql";

interface Requirement {
  readonly isThere: () => boolean;
  /** The Debian package; a folder to install it in with npm; or none of both for what nothing installs. */
  readonly debian?: string;
  readonly npm?: string;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

function program(name: string, debian = name): Requirement {
  const folders = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin", "/sbin"];
  return { debian, isThere: () => folders.some((folder) => isExecutable(join(folder, name))) };
}

function programs(names: readonly string[], debian: string): Requirement {
  return { debian, isThere: () => names.every((name) => program(name).isThere()) };
}

export function postgresBinDir(major: number): string {
  return join(POSTGRES_ROOT, String(major), "bin");
}

/** The PostgreSQL majors whose server is installed, oldest first. */
export function installedPostgresMajors(): number[] {
  if (!existsSync(POSTGRES_ROOT)) return [];
  return readdirSync(POSTGRES_ROOT)
    .map(Number)
    .filter((major) => isExecutable(join(postgresBinDir(major), "postgres")))
    .sort((a, b) => a - b);
}

/** The system's own Python, which has Debian's packages; another one in PATH has not. */
export const SYSTEM_PYTHON = "/usr/bin/python3";

function pythonModules(modules: readonly string[], debian: string): Requirement {
  const isThere = (): boolean => spawnSync(SYSTEM_PYTHON, ["-c", `import ${modules.join(", ")}`]).status === 0;
  return { debian, isThere };
}

function tmpfsTakesAttributes(): boolean {
  if (!existsSync("/dev/shm")) return false;
  const folder = mkdtempSync("/dev/shm/backupctl-");
  try {
    return spawnSync("setfattr", ["-n", "user.a", "-v", "a".repeat(50_000), folder]).status === 0;
  } finally {
    rmdirSync(folder);
  }
}

/** What tests need from the system. test/servers/install.sh installs the same packages. */
const REQUIREMENTS = {
  postgres: { isThere: () => installedPostgresMajors().length > 0, debian: "postgresql" },
  root: { isThere: () => process.getuid?.() === 0 },
  tmux: program("tmux"),
  rsync: program("rsync"),
  acl: program("setfacl", "acl"),
  attr: program("setfattr", "attr"),
  zstd: program("zstd"),
  python3: program("python3"),
  "python3-modules": pythonModules(["cryptography", "zstandard"], "python3-cryptography python3-zstandard"),
  sqlite3: program("sqlite3"),
  strace: program("strace"),
  radosgw: programs(
    ["radosgw", "radosgw-admin", "ceph-mon", "ceph-osd", "ceph"],
    "radosgw ceph-mon ceph-osd ceph-common",
  ),
  swift: programs(
    [
      "swift-proxy-server",
      "swift-account-server",
      "swift-container-server",
      "swift-object-server",
      "memcached",
      "eatmydata",
    ],
    "swift-proxy swift-account swift-container swift-object memcached",
  ),
  openssl: program("openssl"),
  azurite: { isThere: () => existsSync(AZURITE_PROGRAM), npm: "test/servers/azurite" },
  sshd: program("sshd", "openssh-server"),
  "ssh-agent": program("ssh-agent", "openssh-client"),
  vsftpd: program("vsftpd"),
  "systemd-analyze": program("systemd-analyze", "systemd"),
  fish: program("fish"),
  "systemd-nspawn": program("systemd-nspawn", "systemd-container"),
  crontab: program("crontab", "cron"),
  cron: program("cron"),
  "ntfs-3g": {
    isThere: () => existsSync("/dev/fuse") && program("lowntfs-3g").isThere(),
    debian: "ntfs-3g, where the kernel has /dev/fuse",
  },
  "large-attributes": { isThere: tmpfsTakesAttributes, debian: "a kernel of 6.6 or newer, with /dev/shm" },
} satisfies Record<string, Requirement>;

export type RequirementName = keyof typeof REQUIREMENTS;

function howToGet(name: RequirementName): string {
  const { debian, npm }: Requirement = REQUIREMENTS[name];
  if (npm !== undefined) return `${name}: test/servers/install.sh, or npm ci --prefix ${npm}`;
  return debian === undefined
    ? `run the tests as ${name}`
    : `${name}: test/servers/install.sh, or apt-get install ${debian}`;
}

/**
 * True when all of `names` are there. Otherwise prints what is missing and how to get it.
 * Use: `describe.runIf(requireOrSkip("postgres"))("…", …)`.
 */
export function requireOrSkip(...names: RequirementName[]): boolean {
  const missing = names.filter((name) => !REQUIREMENTS[name].isThere());
  if (missing.length > 0)
    console.warn(`skipping tests that need ${missing.join(", ")} (${missing.map(howToGet).join("; ")})`);
  return missing.length === 0;
}
