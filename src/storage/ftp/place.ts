import * as path from "node:path/posix";
import type { OptionProblem } from "../definition.ts";
import type { FtpOptions } from "./options.ts";

/** `ftp://user@host:21/folder`; with `~` where the folder starts at the login's own. */
export function ftpAddress(options: FtpOptions): string {
  const folder = path.resolve("/~", options.path.replace(/^~\//, "./"));
  return `ftp://${options.user}@${options.host.toLowerCase()}:${portOf(options)}${folder}`;
}

/** Without TLS everybody on the way can read the password: the config has to say that this is meant. */
export function ftpProblems({ tls, insecure }: FtpOptions): readonly OptionProblem[] {
  if (tls !== "none" || insecure) return [];
  return [{ path: ["tls"], message: "none is not encrypted; remove it, or allow it with `insecure: true`" }];
}

export function portOf({ port, tls }: FtpOptions): number {
  return port ?? (tls === "implicit" ? 990 : 21);
}
