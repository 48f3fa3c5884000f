import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { BackupctlError } from "../../errors.ts";
import { BACKUP_ARGUMENT, defineCommand, onlyOperand } from "../command.ts";
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
    4: "damage was found; files written before it are whole",
    10: "there is no such backup",
    12: "the encryption key is missing or wrong",
  },
  run: async (context, values, operands) => {
    const { output, json } = context;
    const to = values.to === "-" ? undefined : values.to;
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
    const result = await context.withProgress((onProgress) =>
      operations.download({
        reference: onlyOperand(operands),
        components: values.component,
        sources: values.source,
        include: values.include,
        exclude: values.exclude,
        to,
        write: to === undefined ? output.writeBytes : undefined,
        overwrite: values.overwrite,
        allowUnencrypted: values.allowUnencrypted,
        onProgress,
      }),
    );
    const { noteLook, look } = context;
    if (json) output.printJson(downloadJson(result));
    else {
      for (const warning of result.warnings) output.warn(noteLook.show(warning));
      const lines = result.files.map((file) => look.line`${file.path}  ${formatBytes(file.sizeBytes)}`);
      if (to === undefined) output.note(`wrote ${count(result.files.length, "file")}`);
      else output.report([...lines, `wrote ${count(result.files.length, "file")}`].join("\n"));
    }
    return 0;
  },
});
