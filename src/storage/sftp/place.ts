import * as path from "node:path/posix";
import type { SftpOptions } from "./options.ts";

/** `sftp://user@host:22/folder`; with `~` where the folder starts at the login's own. */
export function sftpAddress({ user, host, port, path: place }: SftpOptions): string {
  const folder = folderOf(place);
  const shown = path.isAbsolute(folder) ? folder : path.join("/~", folder);
  return `sftp://${user}@${host.toLowerCase()}:${port}${shown}`;
}

export function folderOf(place: string): string {
  const folder = path.normalize(place.replace(/^~\//, "./"));
  return folder.length > 1 && folder.endsWith("/") ? folder.slice(0, -1) : folder;
}
