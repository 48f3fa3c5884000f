import { readFileSync } from "node:fs";
import { join } from "node:path";
import type { Reporter, SerializedError, TestCase, TestModule } from "vitest/node";
import { parseAllowedSkips, type SkipRule, skipRuleFor } from "./allowed-skips.ts";

const documentation = join(import.meta.dirname, "../../docs/testing.md");

function nameOf(test: TestCase): string {
  return `${test.module.relativeModuleId} > ${test.fullName}`;
}

function collectErrors(module: TestModule): number {
  let suites = 0;
  for (const suite of module.children.allSuites()) suites += suite.errors().length > 0 ? 1 : 0;
  return suites + (module.errors().length > 0 ? 1 : 0);
}

/**
 * Names every skipped test and ends the run with `N passed, N failed, N skipped`.
 * With BACKUPCTL_TEST_ALL=1 a skip that docs/testing.md does not list counts as failed.
 */
export default class SkipReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly SerializedError[]): void {
    const all = process.env.BACKUPCTL_TEST_ALL === "1";
    const rules = parseAllowedSkips(readFileSync(documentation, "utf8"));
    const lines: string[] = [];
    const counts = { passed: 0, failed: unhandledErrors.length, skipped: 0 };

    for (const module of modules) {
      counts.failed += collectErrors(module);
      for (const test of module.children.allTests()) {
        const result = test.result();
        if (result.state === "passed") counts.passed++;
        if (result.state === "failed") counts.failed++;
        if (result.state !== "skipped") continue;
        const rule = skipRuleFor(nameOf(test), rules);
        counts[all && rule === undefined ? "failed" : "skipped"]++;
        lines.push(describeSkip({ test, rule, all, note: result.note }));
      }
    }

    if (lines.length > 0) process.stdout.write(`\n${lines.join("\n")}\n`);
    const { BACKUPCTL_FUZZ_SEED: fuzz, BACKUPCTL_SEED: seed } = process.env;
    process.stdout.write(`\nBACKUPCTL_FUZZ_SEED=${fuzz} BACKUPCTL_SEED=${seed} tries the same again\n`);
    process.stdout.write(`${counts.passed} passed, ${counts.failed} failed, ${counts.skipped} skipped\n`);
    if (counts.failed > 0) process.exitCode = 1;
  }
}

interface Skip {
  readonly test: TestCase;
  readonly rule: SkipRule | undefined;
  readonly all: boolean;
  readonly note: string | undefined;
}

function describeSkip({ test, rule, all, note }: Skip): string {
  const reason = note ?? rule?.reason;
  const line = `skipped: ${nameOf(test)}${reason === undefined ? "" : `: ${reason}`}`;
  return all && rule === undefined ? `${line} (FAILED: docs/testing.md does not list this skip)` : line;
}
