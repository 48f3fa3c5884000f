import { BackupctlError } from "../../errors.ts";
import { exitStatusOfVerify } from "../../operations/exit-status.ts";
import type { VerifyResult } from "../../operations/operations.ts";
import { BACKUP_ARGUMENT, defineCommand } from "../command.ts";
import type { Context } from "../context.ts";
import { duration, flag, names, text } from "../option.ts";
import { verifyJson } from "../render/json-runs.ts";
import { renderVerification } from "../render/verify.ts";

export const verify = defineCommand({
  name: "verify",
  group: "Daily",
  summary: "check that a backup can be restored",
  description: [
    "Reads everything that a restore of the backup would need and checks each object, block and chunk against its checksum. --quick looks at metadata and sizes only; --deep also restores to a scratch place and compares.",
    "It is the copy that a restore would read that is checked: on this host before anything over a network, then in the order of the config. Where that can't be reached, and where it is damaged, another one is looked at as well, and so is each copy that is known to be damaged. --repair looks at every copy, but for whole ones in archives, replaces each damaged or missing object by the one from another copy, proven before and after, and checks again. A recovery program beside the backups that is not this release's is told, and --repair writes it anew.",
  ],
  argument: { ...BACKUP_ARGUMENT, required: false },
  options: {
    last: duration("DURATION", "every backup made in this time, e.g. 24h"),
    all: flag("every backup"),
    deep: flag("also restore to a scratch place and compare"),
    quick: flag("metadata and sizes only"),
    component: names("A,B", "only these components"),
    storage: text("NAME", "the copy in this storage, and no other"),
    repair: flag("replace what is damaged or missing by what another copy has"),
    allowUnencrypted: text("ID", "accept that this backup is not encrypted"),
  },
  examples: [
    { command: "backupctl verify latest", text: "The newest backup, read in full" },
    { command: "backupctl verify --last 24h", text: "Every backup since yesterday, e.g. from cron" },
    { command: "backupctl verify 550e8400 --deep", text: "As sure as one can be short of a disaster" },
    {
      command: "backupctl verify --all --storage offsite --repair",
      text: "Mend what a disk has lost, from the other copies",
    },
  ],
  exitCodes: {
    0: "every check passed, with --repair after all damage was replaced",
    3: "all that is there passed, but a storage has no copy of some, has to thaw it, or could not be had",
    4: "damage was found",
    10: "there is no such backup, or none in that time",
    11: "with --repair: another run holds the lock",
    12: "the encryption key is missing or wrong",
  },
  run: async (context, values, [reference]) => {
    const chosen = [reference !== undefined, values.last !== undefined, values.all].filter(Boolean).length;
    if (chosen !== 1) {
      throw new BackupctlError(
        "USAGE",
        chosen === 0 ? "verify needs a backup" : "verify takes one of BACKUP, --last and --all",
        {
          hint: "Name one (`backupctl verify latest`), or use --last 24h or --all.",
        },
      );
    }
    if (values.deep && values.quick) {
      throw new BackupctlError("USAGE", "--deep and --quick contradict each other", { hint: "Leave one of them out." });
    }
    if (values.repair && (values.quick || values.component.length > 0)) {
      throw new BackupctlError("USAGE", "--repair is of whole copies, which --quick and --component do not look at", {
        hint: "Leave them out.",
      });
    }
    const operations = await context.operations("rescue");
    const result = await context.withProgress((onProgress) =>
      operations.verify({
        reference,
        lastMs: values.last,
        all: values.all,
        deep: values.deep,
        quick: values.quick,
        components: values.component,
        storage: values.storage,
        repair: values.repair,
        allowUnencrypted: values.allowUnencrypted,
        onProgress,
      }),
    );
    print(context, result);
    return exitStatusOfVerify(result);
  },
});

/** Damage is printed whatever the options say. */
function print({ output, look, json }: Context, result: VerifyResult): void {
  if (json) output.printJson(verifyJson(result));
  else if (result.passed) output.report(renderVerification(look, result));
  else output.print(renderVerification(look, result));
}
