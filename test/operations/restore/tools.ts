import { execFileSync, spawnSync } from "node:child_process";
import * as fs from "node:fs";
import { join } from "node:path";
import type {
  DownloadRequest,
  DownloadResult,
  Operations,
  RestoreRequest,
  RestoreResult,
} from "../../../src/operations/operations.ts";
import type { OpenSite } from "../../helpers/open-site.ts";

export const haveTreeTools = ["rsync", "setfattr", "setfacl"].every(
  (tool) => spawnSync(tool, ["--version"]).status === 0,
);

export const NOTHING_ASKED: RestoreRequest = {
  latest: false,
  components: [],
  sources: [],
  include: [],
  exclude: [],
  dropExisting: false,
  overwrite: false,
  delete: false,
  skipDamaged: false,
  lockWaitMs: 0,
};

/** Plans and applies, as the command does after a yes. */
export async function restore(operations: Operations, asked: Partial<RestoreRequest>): Promise<RestoreResult> {
  const request = { ...NOTHING_ASKED, ...asked };
  return operations.restore(request, await operations.planRestore(request));
}

export function download(operations: Operations, asked: Partial<DownloadRequest>): Promise<DownloadResult> {
  const nothing = { components: [], sources: [], include: [], exclude: [], overwrite: false };
  return operations.download({ reference: "latest", ...nothing, ...asked });
}

/** Everything that rsync can tell apart; empty if nothing. */
export function difference(from: string, to: string): string {
  const flags = ["-aHAXn", "--checksum", "--delete", "--itemize-changes", "--modify-window=-1"];
  return execFileSync("rsync", [...flags, `${from}/`, `${to}/`], { encoding: "utf8" });
}

/** A folder with entries of every kind that a tree can have. */
export function fillEveryKind(folder: string): void {
  const at = (name: string) => join(folder, name);
  for (const name of ["empty", "d/deeper", "acl"]) fs.mkdirSync(at(name), { recursive: true });
  for (let file = 0; file < 200; file++) fs.writeFileSync(at(`d/deeper/file-${file}`), `${file}\n`.repeat(file * 20));
  fs.writeFileSync(Buffer.concat([Buffer.from(`${folder}/`), Buffer.from([0xff, 0x0a, 0x27])]), "odd name");
  fs.writeFileSync(at("n".repeat(255)), "long name");
  fs.writeFileSync(at("setuid"), "program");
  fs.chmodSync(at("setuid"), 0o6755);
  fs.linkSync(at("setuid"), at("a-hard-link"));
  fs.linkSync(at("setuid"), at("d/hard"));
  fs.symlinkSync("../no where\n", at("d/link"));
  fs.linkSync(at("d/link"), at("same link"));
  writeSparse(at("sparse"));
  fs.writeFileSync(at("zeros-only"), "");
  fs.truncateSync(at("zeros-only"), 3_000_000);
  execFileSync("setfattr", ["-n", "user.binary", "-v", "0x00ff10", at("sparse")]);
  execFileSync("setfacl", ["-m", "u:1:rwx,d:u:1:rx", at("acl")]);
  fs.chmodSync(at("empty"), 0o1500);
  execFileSync("touch", ["-h", "-d", "@1234567890.987654321", at("d/link"), at("d/deeper"), at("empty"), at("setuid")]);
}

/** Data, a hole, data across a chunk or more, a hole at the end. */
function writeSparse(file: string): void {
  const fd = fs.openSync(file, "w");
  fs.writeSync(fd, Buffer.alloc(100_000, "begin"), 0, 100_000, 0);
  fs.writeSync(fd, Buffer.alloc(300_000, "middle"), 0, 300_000, 5_000_000);
  fs.ftruncateSync(fd, 9_000_000);
  fs.closeSync(fd);
}

/** Changes a byte in the middle of every data pack of a source, in all backups or those in one directory. */
export function damageData(directory: string, source: string): void {
  const packs = fs
    .readdirSync(directory, { recursive: true, encoding: "utf8" })
    .filter((name) => new RegExp(`(^|/)${source}\\.[a-z]+\\.(zst|gz|raw)(\\.enc)?\\.\\d{8}$`).test(name));
  if (packs.length === 0) throw new Error(`no pack of ${source} in ${directory}`);
  for (const name of packs) flipByte(join(directory, name));
}

function flipByte(file: string): void {
  const bytes = fs.readFileSync(file);
  const at = Math.floor(bytes.length / 2);
  bytes[at] = (bytes[at] ?? 0) ^ 0xff;
  fs.chmodSync(file, 0o600);
  fs.writeFileSync(file, bytes);
}

/** Names below a folder, temporary ones included. */
export function namesIn(folder: string): readonly string[] {
  return fs.readdirSync(folder, { recursive: true, encoding: "utf8" }).sort();
}

export function www(site: OpenSite): string {
  return join(site.directory, "www");
}
