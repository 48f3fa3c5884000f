import * as fs from "node:fs";
import { runToolSync } from "./process.ts";

/** Names of users or groups by number, and back. Unknown ones are asked of the system's directory service once each. */
export interface Owners {
  nameOf(id: number): string | undefined;
  idOf(name: string): number | undefined;
}

export function localUsers(file = "/etc/passwd"): Owners {
  return ownersFrom(file, "passwd");
}

export function localGroups(): Owners {
  return ownersFrom("/etc/group", "group");
}

/** @param database what `getent` calls it, for the names that are not in the file (LDAP and the like) */
function ownersFrom(file: string, database: "passwd" | "group"): Owners {
  const names = new Map<number, string | undefined>();
  const ids = new Map<string, number | undefined>();
  const learn = (text: string): void => {
    for (const line of text.split("\n")) {
      const [name, , id] = line.split(":");
      if (name === undefined || name === "" || id === undefined || !/^\d+$/.test(id)) continue;
      // The first line wins, as it does for the system itself.
      if (names.get(Number(id)) === undefined) names.set(Number(id), name);
      if (ids.get(name) === undefined) ids.set(name, Number(id));
    }
  };
  learn(fs.existsSync(file) ? fs.readFileSync(file, "utf8") : "");
  return {
    nameOf(id) {
      if (!names.has(id)) {
        names.set(id, undefined);
        learn(askSystem(database, String(id)));
      }
      return names.get(id);
    },
    idOf(name) {
      if (!ids.has(name)) {
        ids.set(name, undefined);
        if (/^[\w.@-]+$/.test(name) && !name.startsWith("-")) learn(askSystem(database, name));
      }
      return ids.get(name);
    },
  };
}

const LOOKUP_TIMEOUT_MS = 5_000;

function askSystem(database: string, key: string): string {
  const answer = runToolSync({ command: "getent", args: [database, key], timeoutMs: LOOKUP_TIMEOUT_MS });
  return answer?.exitCode === 0 ? answer.stdout.toString("utf8") : "";
}
