import { acquireLock } from "../../src/platform/lock.ts";

/** Run as a process of its own: takes the lock, says so, and holds it until a line on stdin or a signal ends it. */
const [file = "", operation = "create", backupId = "b1"] = process.argv.slice(2);
const lock = await acquireLock(file, { operation, backupId });
process.stdout.write("held\n");
process.stdin.once("data", () => {
  void lock.release().then(() => process.stdin.destroy());
});
