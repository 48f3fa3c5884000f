import { count } from "../../domain/count.ts";
import { formatBytes } from "../../domain/size.ts";
import { type BackupVerification, CHECKS, type CheckState, type VerifyResult } from "../../operations/operations.ts";
import { bad, dim, formatSeconds, good, type Look, type Painted, strong } from "./look.ts";

export function renderVerification(look: Look, { backups, passed }: VerifyResult): string {
  const blocks = backups.map((backup) => block(look, backup));
  if (backups.length === 1) return blocks.join("");
  const isOneEach = new Set(backups.map(({ backupId }) => backupId)).size === backups.length;
  const what = isOneEach ? "backups" : "copies";
  const verdict = passed ? good(`${backups.length} ${what} passed`) : bad(failures(backups, what));
  return [...blocks, look.show(verdict)].join("\n\n");
}

function failures(backups: readonly BackupVerification[], what: string): string {
  const verdicts = backups.filter(({ passed }) => !passed).map(verdictOf);
  const parts = (["FAILED", "locked", "away", "cold", "absent"] as const)
    .map((verdict) => ({ verdict, found: verdicts.filter((one) => one === verdict).length }))
    .filter(({ found }) => found > 0);
  return parts
    .map(({ verdict, found }, i) =>
      i === 0 ? `${found} of ${backups.length} ${what} ${verdict}` : `${found} ${verdict}`,
    )
    .join(", ");
}

/** Of a copy that did not pass. One that lacks may be still to come, or retention has let it go. */
function verdictOf({ unseen }: BackupVerification): "FAILED" | "locked" | "away" | "cold" | "absent" {
  return unseen === "pending" ? "absent" : (unseen ?? "FAILED");
}

function block(look: Look, backup: BackupVerification): string {
  const verdict = backup.passed ? good("passed") : bad(verdictOf(backup));
  const components = Object.entries(backup.components).map(
    ([name, { status, sizeVerified, files }]) =>
      look.line`  ${checkText(status)}  ${name}: ${formatBytes(sizeVerified)}${files > 0 ? `, ${count(files, "file")}` : ""}`,
  );
  return [
    look.line`${strong(backup.backupId)}  ${verdict}  (${backup.depth}, from ${backup.storage}, ${formatSeconds(backup.seconds)})`,
    ...CHECKS.map((name) => look.line`  ${checkText(backup.checks[name])}  ${name.replaceAll("_", " ")}`),
    ...components,
    ...backup.repaired.map(({ object, storage }) => look.line`  ${good("repaired")}: ${object}, from ${storage}`),
    ...backup.issues.map((issue) => look.line`  ${bad("issue")}: ${issue}`),
    ...(backup.passed ? [] : backup.recommendations.map((text) => look.line`  ${text}`)),
  ].join("\n");
}

function checkText(state: CheckState): Painted {
  if (state === "passed") return good("passed ");
  return state === "failed" ? bad("FAILED ") : dim("skipped");
}
