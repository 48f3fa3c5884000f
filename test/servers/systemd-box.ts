import { type ChildProcess, execFileSync, spawn, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";

/** A systemd of its own, on a copy of this machine's files that is thrown away. */
export interface SystemdBox {
  /** Runs a program in it, as root. */
  exec(
    command: string,
    ...args: readonly string[]
  ): { readonly status: number | null; readonly stdout: string; readonly stderr: string };
  /** Writes a file in it. */
  write(file: string, text: string): void;
  stop(): Promise<void>;
}

/** Where the checkout is, in the box. */
export const BOX_CHECKOUT = "/mnt/checkout";

const CHECKOUT = join(import.meta.dirname, "../..");
const START_TIMEOUT_MS = 30_000;

export async function startSystemdBox(): Promise<SystemdBox> {
  // Not below /tmp, which may be of the kind that no overlay can lie on.
  const directory = mkdtempSync("/var/tmp/backupctl-box-");
  const [upper, root] = [join(directory, "upper"), join(directory, "root")];
  mkdirSync(upper);
  mkdirSync(root);
  execFileSync("mount", ["-t", "tmpfs", "-o", "size=1g", "box", upper]);
  mkdirSync(join(upper, "changes"));
  mkdirSync(join(upper, "work"));
  const layers = `lowerdir=/,upperdir=${join(upper, "changes")},workdir=${join(upper, "work")}`;
  execFileSync("mount", ["-t", "overlay", "box", "-o", layers, root]);
  // None of this machine's own services.
  for (const folder of execFileSync("find", [join(root, "etc/systemd/system"), "-name", "*.wants"], {
    encoding: "utf8",
  }).split("\n")) {
    if (folder !== "") rmSync(folder, { recursive: true });
  }
  const box = spawn(
    "systemd-nspawn",
    [
      ...["--quiet", "--register=no", "--keep-unit", "--private-network", `--bind-ro=${CHECKOUT}:${BOX_CHECKOUT}`],
      ...["-D", root, "-M", `box-${process.pid}`, "--boot", "systemd.unit=basic.target"],
    ],
    { stdio: ["ignore", "ignore", "ignore"] },
  );
  const ended = new Promise<void>((resolve) => box.once("close", () => resolve()));
  const exec: SystemdBox["exec"] = (command, ...args) => {
    const init = initOf(box);
    if (init === undefined) return { status: null, stdout: "", stderr: "the box does not run" };
    // The caller's environment is none of the box's.
    const env = {
      PATH: "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      HOME: "/root",
      LC_ALL: "C.UTF-8",
    };
    return spawnSync("nsenter", ["-t", init, "-a", command, ...args], { encoding: "utf8", env });
  };
  const stop = async (): Promise<void> => {
    exec("systemctl", "poweroff", "--force");
    await Promise.race([ended, sleep(10_000)]);
    box.kill("SIGKILL");
    await ended;
    execFileSync("umount", ["-l", root, upper]);
    rmSync(directory, { recursive: true });
  };
  const deadline = performance.now() + START_TIMEOUT_MS;
  while (!/running|degraded/.test(exec("systemctl", "is-system-running").stdout)) {
    if (performance.now() > deadline || box.exitCode !== null) {
      await stop();
      throw new Error("systemd did not start in its box");
    }
    await sleep(100);
  }
  return {
    exec,
    write: (file, text) => {
      const init = initOf(box) ?? "";
      execFileSync("nsenter", ["-t", init, "-a", "tee", file], { input: text, stdio: ["pipe", "ignore", "inherit"] });
    },
    stop,
  };
}

/** The process that is number one in there. */
function initOf({ pid }: ChildProcess): string | undefined {
  try {
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, "utf8").trim().split(/\s+/);
    return children.find((child) => /^NSpid:.*\t1$/m.test(readFileSync(`/proc/${child}/status`, "utf8")));
  } catch {
    return undefined;
  }
}
