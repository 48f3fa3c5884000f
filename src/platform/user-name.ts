import { userInfo } from "node:os";

/** The name of the user who runs this process, or its number: a container may run under a uid without a name. */
export function currentUserName(): string {
  try {
    return userInfo().username;
  } catch {
    return String(process.getuid?.() ?? "unknown");
  }
}
