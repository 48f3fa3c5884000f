import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { deadCode, type PackageManifest } from "./dead-code-rules.ts";
import { parseSource, readSources } from "./source-tree.ts";

const root = join(import.meta.dirname, "..");

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(join(root, path), "utf8"));
}

function readIfThere(path: string) {
  return existsSync(join(root, path)) ? [parseSource(path, readFileSync(join(root, path), "utf8"))] : [];
}

const problems = deadCode({
  sources: readSources(root, "src"),
  others: [...["test", "scripts", "bench"].flatMap((it) => readSources(root, it)), ...readIfThere("vitest.config.ts")],
  manifest: readJson("package.json") as PackageManifest,
  allowed: readJson("scripts/dead-code-allow.json") as Record<string, string>,
});

for (const problem of problems) console.error(problem);
if (problems.length > 0) {
  console.error(
    `\n${problems.length} found. Delete them, or give the reason to keep one in scripts/dead-code-allow.json.`,
  );
  process.exitCode = 1;
}
