import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError } from "../../errors.ts";
import type { DownloadRequest } from "../../operations/operations.ts";
import { BACKUP_ARGUMENT, defineCommand, onlyOperand } from "../command.ts";
import type { Context } from "../context.ts";
import { flag, names, repeated, text } from "../option.ts";
import { downloadJson } from "../render/json.ts";

export const download = defineCommand({
  name: "download",
  group: "Restore",
  summary: "write a backup as ordinary files: dumps and tars",
  description: [
    "Decrypts, checks and writes what other tools can read: a database as its dump, a file tree as a tar. Into a folder, or one source to standard output.",
  ],
  argument: BACKUP_ARGUMENT,
  options: {
    to: text("DIR", "the folder to write to; - or nothing: standard output", { path: true }),
    component: names("A,B", "only these components"),
    source: names("A,B", "only these sources"),
    include: repeated("PATH", "of file trees only this path; may be repeated"),
    exclude: repeated("PATH", "of file trees not this path; may be repeated"),
    overwrite: flag("replace files of the same name in the folder"),
    allowUnencrypted: text("ID", "accept that this backup is not encrypted"),
  },
  examples: [
    { command: "backupctl download latest --to ./out", text: "Everything into a folder" },
    {
      command: "backupctl download latest --source shop --include shop | pg_restore -l",
      text: "One dump into another program",
    },
    { command: "backupctl download 550e8400 --source uploads --include /srv/www/logo.png | tar -xO", text: "One file" },
  ],
  exitCodes: {
    3: "what has to be thawed was asked for; nothing was written",
    4: "damage was found; with --to nothing was written",
    10: "there is no such backup",
    12: "the encryption key is missing or wrong",
  },
  run: (context, { to, component: components, source: sources, ...rest }, operands) =>
    writeFiles(context, {
      ...rest,
      reference: onlyOperand(operands),
      components,
      sources,
      to: to === "-" ? undefined : to,
    }),
});

/** Into a folder, or one file to standard output. @throws `USAGE` where that is a terminal */
export async function writeFiles(
  context: Context,
  request: Omit<DownloadRequest, "write" | "onProgress">,
): Promise<number> {
  const { output, json, noteLook, look } = context;
  const { to } = request;
  if (to === undefined && (json || output.stdoutIsTerminal)) {
    throw new BackupctlError(
      "USAGE",
      `the backup can't be written to ${json ? "standard output with --json" : "a terminal"}`,
      {
        hint: "Add --to DIR, or send standard output to a file or a program.",
      },
    );
  }
  const operations = await context.operations("rescue");
  const write = to === undefined ? output.writeBytes : undefined;
  const result = await context.withProgress((onProgress) => operations.download({ ...request, write, onProgress }));
  if (json) output.printJson(downloadJson(result));
  else {
    for (const warning of result.warnings) output.warn(noteLook.show(warning));
    const lines = result.files.map((file) => look.line`${file.path}  ${formatBytes(file.sizeBytes)}`);
    if (to === undefined) output.note(`wrote ${count(result.files.length, "file")}`);
    else output.report([...lines, `wrote ${count(result.files.length, "file")}`].join("\n"));
  }
  return 0;
}
