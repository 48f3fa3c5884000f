import { execFileSync, spawnSync } from "node:child_process";

export interface Account {
  readonly user: string;
  readonly password: string;
  readonly uid: number;
  readonly gid: number;
}

const USER = "backupctl-test";
const PASSWORD = "Mt-Vesuvius 79";

/** A user of this host that may log in to the test's servers, with a known password. Only root can make it; it stays. */
export function testAccount(): Account {
  if (spawnSync("id", [USER]).status !== 0) {
    const hash = execFileSync("openssl", ["passwd", "-6", "-stdin"], { input: PASSWORD, encoding: "utf8" }).trim();
    const shape = ["--no-create-home", "--home-dir", "/", "--shell", "/bin/sh", "--password", hash];
    // Another test file may be quicker: what counts is that it is there afterwards.
    spawnSync("useradd", [...shape, USER]);
  }
  const id = (flag: string) => Number(execFileSync("id", [flag, USER], { encoding: "utf8" }));
  return { user: USER, password: PASSWORD, uid: id("-u"), gid: id("-g") };
}
