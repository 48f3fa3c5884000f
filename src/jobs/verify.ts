import { z } from "zod";
import { count } from "../domain/count.ts";
import { durationMs, parseFiniteDuration } from "../domain/duration.ts";
import { exitStatusOfVerify } from "../operations/exit-status.ts";
import type { VerifyResult } from "../operations/operations.ts";
import type { Job } from "./job.ts";

const options = z.object({
  backups: z
    .string()
    .regex(/^(latest|all|[1-9]\d{0,4}([hdwy]|mo))$/, "must be latest, all, or a time such as 24h")
    .default("latest")
    .describe("Which are checked: latest, all, or those of the last time, such as 24h."),
  deep: z.boolean().default(false).describe("Also restore to a scratch place and compare."),
  quick: z.boolean().default(false).describe("Metadata and sizes only."),
  storage: z
    .string()
    .min(1)
    .optional()
    .describe("The copies in this storage, and no others.")
    .meta({ example: "offsite" }),
});

/** `backupctl verify`. */
export const verifyJob: Job = {
  options,
  async run(operations, { options: given, onProgress }) {
    const { backups, ...chosen } = options.parse(given);
    const isAge = backups !== "latest" && backups !== "all";
    const result = await operations.verify({
      ...chosen,
      reference: backups === "latest" ? "latest" : undefined,
      lastMs: isAge ? durationMs(parseFiniteDuration(backups)) : undefined,
      all: backups === "all",
      components: [],
      onProgress,
    });
    const { backups: checked } = result;
    const passed = checked.filter((backup) => backup.passed).length;
    return {
      exitCode: exitStatusOfVerify(result),
      summary: `${count(checked.length, "copy was", "copies were")} checked, ${passed} passed`,
      problems: problemsOf(result),
      facts: { copies_checked: checked.length, copies_passed: passed },
    };
  },
};

function problemsOf({ backups }: VerifyResult): readonly string[] {
  return backups.flatMap(({ backupId, storage, passed, issues }) =>
    passed ? [] : [`backup ${backupId} in "${storage}" did not pass${issues.map((issue) => `; ${issue}`).join("")}`],
  );
}
