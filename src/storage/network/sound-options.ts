import { BackupctlError } from "../../errors.ts";
import type { OptionProblem } from "../definition.ts";

/** @throws `CONFIG_INVALID` with the first of the problems, if there are any. */
export function requireSound(storage: string, problems: readonly OptionProblem[]): void {
  const [problem] = problems;
  if (problem === undefined) return;
  throw new BackupctlError("CONFIG_INVALID", `storage "${storage}": ${problem.path.join(".")} ${problem.message}`, {
    hint: "Check the config with `backupctl config validate`.",
  });
}
